import { calledInFull } from "../model";
import { MOST_SELECTED } from "../state";
import { toggled, type View } from "./view";

export function Selection({ view: { world, state, change, say, colours } }: { view: View }) {
  return (
    <section class="selection" aria-label={say("compare")}>
      <h2 class="label">{say("compare")}</h2>
      {state.sel.length === 0 && <p class="sub">{say(world.manifest.map ? "compareHint" : "compareHintNoMap")}</p>}
      <ul>
        {state.sel.map((key, at) => {
          const place = world.manifest.places[world.byKey.get(key)!]!;
          const name = calledInFull(place, state.lang);
          return (
            <li key={key}>
              <span class="swatch" style={{ background: colours.categorical[at] }} />
              {name}
              <button
                type="button"
                aria-label={say("remove", { name })}
                onClick={() => change({ sel: toggled(state.sel, key) })}
              >
                ×
              </button>
            </li>
          );
        })}
      </ul>
      {state.sel.length > 1 && (
        <button type="button" class="quiet" onClick={() => change({ sel: [] })}>
          {say("clearAll")}
        </button>
      )}
      <p class="sub" role="status">
        {state.sel.length === MOST_SELECTED ? say("full") : ""}
      </p>
    </section>
  );
}
