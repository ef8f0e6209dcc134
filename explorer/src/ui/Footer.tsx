import type { View } from "./view";

export function Footer({ view: { world, frequency, say } }: { view: View }) {
  const { manifest } = world;
  return (
    <footer class="foot">
      <p>
        {say("source", { table: frequency.table })} · {manifest.index} {manifest.release ?? say("working")}.{" "}
        {say("rounded")}
      </p>
      <p>
        {say("keyboard")} · <a href="licences.txt">{say("licences")}</a>
      </p>
    </footer>
  );
}
