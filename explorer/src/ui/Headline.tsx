// The period in a few numbers, each of them one of the table.
import { periodName } from "../format";
import { typeName, type Word } from "../i18n";
import { called, figure, numberOf, rows as rowsOf } from "../model";
import { useMemo } from "preact/hooks";
import { flags, type View } from "./view";

export function Headline({ view }: { view: View }) {
  const { world, state, say, write, series, period, node, frequency } = view;
  const all = useMemo(
    () => (series ? rowsOf(series, world, { ...state, q: "", within: "" }, period) : []),
    [series, state.type, state.period, state.lang],
  );
  const national = (measure: string) => (series ? figure(series, world, measure, world.nation, period) : NaN);
  const status = series?.status(series.at.get(world.nation) ?? -1, period) ?? "";
  const first = all.find((row) => row.rank === 1);
  const grown = all
    .filter((row) => !Number.isNaN(row.growth_yoy))
    .sort((a, b) => numberOf(b, "growth_yoy") - numberOf(a, "growth_yoy"))[0];
  const covered = frequency.covered[period];
  const whole = Math.max(...frequency.covered);
  const type = typeName(state.type, state.lang);
  return (
    <section class="headline" aria-live="polite">
      <h1>
        {node[state.lang]} <span class="when">{periodName(state.period, state.lang)}</span>
        {flags(status, say).map((flag) => (
          <span class="flag" key={flag}>
            {flag}
          </span>
        ))}
      </h1>
      {covered !== undefined && covered < whole && (
        <p class="sub">
          {say("provisionalTold", { n: covered, unit: say(world.manifest.cadence as Word).toLowerCase() })}
        </p>
      )}
      <dl class="tiles">
        <div>
          <dt>
            {say("national")}
            {state.lang === "zh" ? "" : ", "}
            {state.lang === "zh" ? say("points") : say("points").toLowerCase()}
          </dt>
          <dd>{write(national("points"), "points", { decimals: 1 })}</dd>
        </div>
        <div>
          <dt>
            {say("national")}
            {state.lang === "zh" ? "" : ", "}
            {state.lang === "zh" ? say("growth_yoy") : say("growth_yoy").toLowerCase()}
          </dt>
          <dd>{write(national("growth_yoy"), "fraction", { signed: true })}</dd>
        </div>
        {first && (
          <div>
            <dt>
              {type}: {say("leading")}
            </dt>
            <dd class="named">
              {called(first.place, state.lang)} <span>{write(numberOf(first, "points"), "points")}</span>
            </dd>
          </div>
        )}
        {grown && (
          <div>
            <dt>
              {type}: {say("fastest")}
            </dt>
            <dd class="named">
              {called(grown.place, state.lang)}{" "}
              <span>{write(numberOf(grown, "growth_yoy"), "fraction", { signed: true })}</span>
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}
