// The map, the table and the charts, each with what it says and what can be downloaded of it.
import { Card, Chart, type Drawing } from "../charts/Chart";
import type { Classes } from "../charts/classes";
import { csv, saveText } from "../csv";
import { periodName } from "../format";
import { typeName } from "../i18n";
import { called } from "../model";
import { MOST_SELECTED } from "../state";
import { Comparison } from "./Comparison";
import { chosen, rankable, useLines, useMap, useParts, useSpread } from "./drawings";
import { Table, useSorted } from "./Table";
import { contributionTable, lineTable, rowTable } from "./tables";
import { fileName, flags, toggled, type View } from "./view";

export function Panels({ view }: { view: View }) {
  const { state, change, say } = view;
  const sorted = useSorted(view);
  const mapped = useMap(view);
  const leading = sorted.sorted.slice(0, MOST_SELECTED).map((row) => row.entity);
  // The nation is all of the nation, always.
  const trend = useLines(
    view,
    state.measure === "rank" ? "points" : state.measure,
    state.measure === "share" && !state.sel.length ? leading : chosen(view),
  );
  const ranks = useLines(view, "rank", rankable(view, leading));
  const made = useParts(view);
  const spread = useSpread(view, sorted.sorted);
  const when = periodName(state.period, state.lang);
  const table = view.frequency.table;
  const source = say("source", { table });
  const { manifest } = view.world;
  const released = `${manifest.index} ${manifest.release ?? say("working")}`;
  const card = {
    say,
    colours: view.colours,
    of: `${view.node[state.lang]} ${when}`,
    credit: `${source} · ${released}`,
  };
  const chart = { colours: view.colours };
  const measured = state.measure === "rank" ? say("points") : say(state.measure as "points");
  return (
    <>
      <div class={`pair ${mapped ? "" : "single"}`}>
        {view.map && mapped && (
          <Card
            {...card}
            id="map"
            title={`${say("map")}: ${say(state.measure as "points")}`}
            subtitle={`${when} · ${typeName(state.type, state.lang)} · ${say("quantiles")}`}
            file={fileName(view, "map")}
            drawing={mapped.drawing}
            height={800}
            credit={[card.credit, view.map.source[state.lang] ?? ""].filter(Boolean).join(" · ")}
            table={() => rowTable(view, sorted.sorted, ["rank", state.measure === "rank" ? "points" : state.measure])}
          >
            <Chart
              {...chart}
              drawing={mapped.drawing}
              label={`${say("map")}: ${say(state.measure as "points")}, ${when}`}
              renderer="canvas"
              height={330}
              onPick={(datum) => typeof datum.key === "string" && change({ sel: toggled(state.sel, datum.key) })}
            />
            <Legend
              classes={mapped.classes}
              none={view.colours.no_data}
              noData={say(state.within || state.q ? "outside" : "noData")}
              title={say(state.measure as "points")}
            />
            {view.map.source[state.lang] && (
              <p class="sub source">{say("mapSource", { source: view.map.source[state.lang]! })}</p>
            )}
          </Card>
        )}
        <section class="card table-card" id="table" aria-labelledby="table-title">
          <TableHead view={view} sorted={sorted} />
          <Table view={view} sorted={sorted} />
        </section>
      </div>
      <Comparison view={view} subtitle={`${when} · ${source}`} />
      <div class="grid">
        <Card
          {...card}
          id="trend"
          title={`${say("trend")}: ${measured}`}
          subtitle={source}
          file={fileName(view, "trend")}
          drawing={trend.drawing}
          height={420}
          table={
            trend.found.length
              ? () => lineTable(view, trend.found, state.measure === "rank" ? "points" : state.measure)
              : null
          }
        >
          <Chart
            {...chart}
            drawing={trend.drawing}
            label={`${say("trend")}: ${measured}, ${trend.found.map((line) => line.name).join(", ")}`}
            height={300}
            instead={say("noSeries")}
          />
        </Card>
        <Card
          {...card}
          id="ranks"
          title={say("ranks")}
          subtitle={`${source} · ${say("lowIsGood")}`}
          file={fileName(view, "ranks")}
          drawing={ranks.drawing}
          height={420}
          table={ranks.found.length ? () => lineTable(view, ranks.found, "rank") : null}
        >
          <Chart
            {...chart}
            drawing={ranks.drawing}
            label={`${say("ranks")}: ${ranks.found.map((line) => line.name).join(", ")}`}
            height={300}
            instead={say("noRank")}
          />
        </Card>
        <Card
          {...card}
          id="contributions"
          title={say("contributions")}
          subtitle={made.subtitle}
          file={fileName(view, "contributions")}
          drawing={made.drawing}
          height={pictureOf(made.drawing)}
          table={made.drawing ? () => contributionTable(view, made.parts, made.of) : null}
          controls={<Of view={view} of={made.of} />}
        >
          <Chart
            {...chart}
            drawing={made.drawing}
            label={`${say("contributions")}: ${made.subtitle}`}
            height={(made.drawing?.spec.height as number) ?? 0}
            instead={made.instead}
          />
        </Card>
        {spread && (
          <Card
            {...card}
            id="uncertainty"
            title={say("uncertainty")}
            subtitle={say("se")}
            file={fileName(view, "uncertainty")}
            drawing={spread}
            height={pictureOf(spread)}
            table={() => rowTable(view, sorted.sorted, ["points", "points_se"])}
          >
            <Chart {...chart} drawing={spread} label={say("uncertainty")} height={spread.spec.height as number} />
          </Card>
        )}
      </div>
    </>
  );
}

/** Whose change is taken apart, among those that are compared. */
function Of({ view: { world, state, change, say, node, frequency }, of }: { view: View; of: string }) {
  if (state.sel.length < 2 || !node.has.contributions?.includes(frequency.id)) return null;
  return (
    <div class="segments small" role="group" aria-label={say("contributions")}>
      {state.sel.map((key) => {
        const name = called(world.manifest.places[world.byKey.get(key)!]!, state.lang);
        return (
          <button type="button" key={key} aria-pressed={name === of} onClick={() => change({ of: key })}>
            {name}
          </button>
        );
      })}
    </div>
  );
}

/** Height of a picture of bars: with room for the title. */
const pictureOf = (drawing: Drawing | null): number =>
  ((drawing?.spec.height as number | undefined) ?? 300) * 1.25 + 110;

function TableHead({ view, sorted }: { view: View; sorted: ReturnType<typeof useSorted> }) {
  const { state, change, say } = view;
  const told = [...new Set([...new Set(view.rows.map((row) => row.status))].flatMap((status) => flags(status, say)))];
  return (
    <header class="card-head">
      <div>
        <h2 id="table-title" tabIndex={-1}>
          {typeName(state.type, state.lang)}
        </h2>
        <p class="sub" role="status">
          {say("found", { n: sorted.sorted.length })} · {say("source", { table: view.frequency.table })}
          {told.map((flag) => (
            <span key={flag}>
              {" "}
              ·{" "}
              <span class="whole">
                <b class="mark" aria-hidden="true">
                  *
                </b>{" "}
                {flag}
              </span>
            </span>
          ))}
        </p>
      </div>
      <div class="search">
        <label class="unseen" for="search">
          {say("search")}
        </label>
        <input
          id="search"
          type="search"
          value={state.q}
          placeholder={say("searchHint")}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => change({ q: event.currentTarget.value }, true)}
        />
      </div>
      <div class="downloads" role="group" aria-label={`${say("download")}: ${say("table")}`}>
        <DownloadCsv view={view} sorted={sorted} />
      </div>
    </header>
  );
}

function DownloadCsv({ view, sorted }: { view: View; sorted: ReturnType<typeof useSorted> }) {
  const made = () => {
    const { header, rows } = rowTable(
      view,
      sorted.sorted,
      sorted.shown.map(([measure]) => measure),
    );
    saveText(`${fileName(view, "table")}.csv`, csv(header, rows));
  };
  return (
    <button type="button" class="quiet" onClick={made} aria-label={`${view.say("download")} CSV: ${view.say("table")}`}>
      CSV
    </button>
  );
}

function Legend({
  classes: { labels, colours },
  noData,
  none,
  title,
}: {
  classes: Classes;
  noData: string;
  none: string;
  title: string;
}) {
  return (
    <ul class="legend" aria-label={title}>
      {labels.map((label, at) => (
        <li key={label}>
          <span class="swatch" style={{ background: colours[at] }} />
          {label}
        </li>
      ))}
      <li>
        <span class="swatch" style={{ background: none }} />
        {noData}
      </li>
    </ul>
  );
}
