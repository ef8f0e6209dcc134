import { render } from "preact";
import { App } from "./ui/App";
import "./style.css";

export { take } from "./data";

render(<App />, document.getElementById("explorer")!);
