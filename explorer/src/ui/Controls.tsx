import { useMemo } from "preact/hooks";
import { periodName } from "../format";
import { typeName, type Word } from "../i18n";
import { calledInFull } from "../model";
import { keyOf, MEASURES, wholePeriod } from "../state";
import type { View } from "./view";

export function Controls({ view }: { view: View }) {
  const { world, state, change, say, frequency, period, node } = view;
  const { manifest } = world;
  const groups = useMemo(() => {
    const held = new Set<number>();
    for (const place of manifest.places)
      if (place.type === state.type) place.groups?.forEach((group) => held.add(group));
    const sorted = [...held].sort((a, b) => a - b).map((at) => manifest.places[at]!);
    return [...Map.groupBy(sorted, (place) => place.type)];
  }, [state.type]);
  const move = (step: number) => () => {
    const next = frequency.periods[period + step];
    if (next) change({ period: next });
  };
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      <div class="field">
        <span class="label" id="freq-label">
          {say("frequency")}
        </span>
        <div class="segments" role="group" aria-labelledby="freq-label">
          {manifest.frequencies.map(({ id }) => (
            <button
              type="button"
              key={id}
              aria-pressed={state.freq === id}
              onClick={() => change({ freq: id, period: likePeriod(view, id) })}
            >
              {say(id as Word)}
            </button>
          ))}
        </div>
      </div>
      <div class="field">
        <label class="label" for="period">
          {say("period")}
        </label>
        <div class="stepper">
          <button type="button" aria-label={say("before")} disabled={period <= 0} onClick={move(-1)}>
            ‹
          </button>
          <select id="period" value={state.period} onChange={(event) => change({ period: event.currentTarget.value })}>
            {[...frequency.periods].reverse().map((key) => (
              <option key={key} value={key}>
                {periodName(key, state.lang)}
              </option>
            ))}
          </select>
          <button
            type="button"
            aria-label={say("after")}
            disabled={period >= frequency.periods.length - 1}
            onClick={move(1)}
          >
            ›
          </button>
        </div>
      </div>
      <div class="field">
        <label class="label" for="type">
          {say("entities")}
        </label>
        <select
          id="type"
          value={state.type}
          onChange={(event) => change({ type: event.currentTarget.value, within: "" })}
        >
          {node.types.map((type) => (
            <option key={type} value={type}>
              {typeName(type, state.lang)}
            </option>
          ))}
        </select>
      </div>
      {groups.length > 0 && (
        <div class="field">
          <label class="label" for="within">
            {say("within")}
          </label>
          <select id="within" value={state.within} onChange={(event) => change({ within: event.currentTarget.value })}>
            <option value="">{say("everywhere")}</option>
            {groups.map(([type, places]) => (
              <optgroup key={type} label={typeName(type, state.lang)}>
                {places.map((place) => (
                  <option key={keyOf(place)} value={keyOf(place)}>
                    {calledInFull(place, state.lang)}
                  </option>
                ))}
              </optgroup>
            ))}
          </select>
        </div>
      )}
      <div class="field">
        <label class="label" for="measure">
          {say("measure")}
        </label>
        <select id="measure" value={state.measure} onChange={(event) => change({ measure: event.currentTarget.value })}>
          {MEASURES.map((measure) => (
            <option key={measure} value={measure}>
              {say(measure)}
            </option>
          ))}
        </select>
      </div>
    </form>
  );
}

/** The period of another frequency that ends when the one chosen does, else its last whole one. */
function likePeriod({ world, state }: View, frequency: string): string {
  const { periods } = world.manifest.frequencies.find((item) => item.id === frequency)!;
  const end = ends(state.period);
  return (
    periods.find((key) => ends(key) === end) ??
    periods.find((key) => key.startsWith(state.period)) ??
    wholePeriod(world.manifest, frequency)
  );
}

function ends(period: string): string {
  const [year, rest] = [period.slice(0, 4), period.slice(4)];
  const months = rest.startsWith("H")
    ? Number(rest[1]) * 6
    : rest.startsWith("Q")
      ? Number(rest[1]) * 3
      : rest
        ? Number(rest.slice(1))
        : 12;
  return `${year}-${months}`;
}
