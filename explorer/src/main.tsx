import { render } from "preact";
import { App } from "./ui/App";
import "./style.css";

export { settled } from "./charts/Chart";
export { take } from "./data";

render(<App />, document.getElementById("explorer")!);
