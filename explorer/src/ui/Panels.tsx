// The map, the table and the charts, each with what it says and what can be downloaded of it.
import { useEffect, useMemo, useState } from "preact/hooks";
import { bars, type Part, spreads, waterfall } from "../charts/bars";
import { Card, Chart, type Drawing } from "../charts/Chart";
import { type Line, lines } from "../charts/lines";
import type { Classes } from "../charts/classes";
import { map, type Mapped } from "../charts/map";
import { csv, saveText } from "../csv";
import { value } from "../data";
import { figures, periodName } from "../format";
import { typeName } from "../i18n";
import { called, COLUMNS, figure } from "../model";
import { MOST_SELECTED } from "../state";
import { Table, useSorted } from "./Table";
import { contributionTable, lineTable, rowTable } from "./tables";
import { fileName, flags, toggled, type View } from "./view";

const FORMS: Record<string, string> = Object.fromEntries(COLUMNS);

export function Panels({ view }: { view: View }) {
  const { state, change, say } = view;
  const sorted = useSorted(view);
  const mapped = useMap(view);
  const leading = sorted.sorted.slice(0, MOST_SELECTED).map((row) => row.entity);
  // The nation is all of the nation, always.
  const trend = useLines(view, state.measure === "rank" ? "points" : state.measure, state.measure === "share" && !state.sel.length ? leading : chosen(view));
  const ranks = useLines(view, "rank", rankable(view, leading));
  const made = useParts(view);
  const spread = useSpread(view, sorted.sorted);
  const when = periodName(state.period, state.lang);
  const table = view.frequency.table;
  const source = say("source", { table });
  const card = { say, colours: view.colours };
  const chart = { colours: view.colours };
  const measured = state.measure === "rank" ? say("points") : say(state.measure as "points");
  return (
    <>
      <div class={`pair ${mapped ? "" : "single"}`}>
        {view.map && mapped && (
          <Card
            {...card} id="map" title={`${say("map")}: ${say(state.measure as "points")}`} subtitle={`${when} · ${typeName(state.type, state.lang)} · ${say("quantiles")}`}
            file={fileName(view, "map")} drawing={mapped.drawing} height={700}
            table={() => rowTable(view, sorted.sorted, ["rank", state.measure === "rank" ? "points" : state.measure])}
          >
            <Chart
              {...chart} drawing={mapped.drawing} label={`${say("map")}: ${say(state.measure as "points")}, ${when}`} renderer="canvas" height={330}
              onPick={(datum) => typeof datum.key === "string" && change({ sel: toggled(state.sel, datum.key) })}
            />
            <Legend classes={mapped.classes} none={view.colours.no_data} noData={say("noData")} title={say(state.measure as "points")} />
            {view.map.source[state.lang] && <p class="sub source">{say("mapSource", { source: view.map.source[state.lang]! })}</p>}
          </Card>
        )}
        <section class="card table-card" id="table" aria-labelledby="table-title">
          <TableHead view={view} sorted={sorted} />
          <Table view={view} sorted={sorted} />
        </section>
      </div>
      <div class="grid">
        <Card {...card} id="trend" title={`${say("trend")}: ${measured}`} subtitle={source} file={fileName(view, "trend")} drawing={trend.drawing} height={420} table={trend.found.length ? () => lineTable(view, trend.found, state.measure === "rank" ? "points" : state.measure) : null}>
          <Chart {...chart} drawing={trend.drawing} label={`${say("trend")}: ${measured}, ${trend.found.map((line) => line.name).join(", ")}`} height={300} instead={say("noSeries")} />
        </Card>
        <Card {...card} id="ranks" title={say("ranks")} subtitle={`${source} · ${say("lowIsGood")}`} file={fileName(view, "ranks")} drawing={ranks.drawing} height={420} table={ranks.found.length ? () => lineTable(view, ranks.found, "rank") : null}>
          <Chart {...chart} drawing={ranks.drawing} label={`${say("ranks")}: ${ranks.found.map((line) => line.name).join(", ")}`} height={300} instead={say("noRank")} />
        </Card>
        <Card {...card} id="contributions" title={say("contributions")} subtitle={made.subtitle} file={fileName(view, "contributions")} drawing={made.drawing} height={460} table={made.drawing ? () => contributionTable(view, made.parts, made.of) : null} controls={<Of view={view} of={made.of} />}>
          <Chart {...chart} drawing={made.drawing} label={`${say("contributions")}: ${made.subtitle}`} height={(made.drawing?.spec.height as number) ?? 0} instead={made.instead} />
        </Card>
        {spread && (
          <Card {...card} id="uncertainty" title={say("uncertainty")} subtitle={say("se")} file={fileName(view, "uncertainty")} drawing={spread} height={420} table={() => rowTable(view, sorted.sorted, ["points", "points_se"])}>
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
        return <button type="button" key={key} aria-pressed={name === of} onClick={() => change({ of: key })}>{name}</button>;
      })}
    </div>
  );
}

function TableHead({ view, sorted }: { view: View; sorted: ReturnType<typeof useSorted> }) {
  const { state, change, say } = view;
  const told = [...new Set([...new Set(view.rows.map((row) => row.status))].flatMap((status) => flags(status, say)))];
  return (
    <header class="card-head">
      <div>
        <h2 id="table-title" tabIndex={-1}>{typeName(state.type, state.lang)}</h2>
        <p class="sub" role="status">{say("found", { n: sorted.sorted.length })} · {say("source", { table: view.frequency.table })}
          {told.map((flag) => <span key={flag}> · <b class="mark" aria-hidden="true">*</b> {flag}</span>)}
        </p>
      </div>
      <div class="search">
        <label class="unseen" for="search">{say("search")}</label>
        <input id="search" type="search" value={state.q} placeholder={say("searchHint")} autocomplete="off" spellcheck={false}
          onInput={(event) => change({ q: event.currentTarget.value }, true)} />
      </div>
      <div class="downloads" role="group" aria-label={`${say("download")}: ${say("table")}`}>
        <DownloadCsv view={view} sorted={sorted} />
      </div>
    </header>
  );
}

function DownloadCsv({ view, sorted }: { view: View; sorted: ReturnType<typeof useSorted> }) {
  const made = () => {
    const { header, rows } = rowTable(view, sorted.sorted, sorted.shown.map(([measure]) => measure));
    saveText(`${fileName(view, "table")}.csv`, csv(header, rows));
  };
  return <button type="button" class="quiet" onClick={made} aria-label={`${view.say("download")} CSV: ${view.say("table")}`}>CSV</button>;
}

const chosen = ({ world, state, series }: View): number[] => {
  const found = state.sel.map((key) => world.byKey.get(key)!).filter((entity) => series?.at.has(entity));
  return found.length ? found : [world.nation];
};

function rankable(view: View, leading: number[]): number[] {
  const { world, series, state } = view;
  const ranks = series?.measures.get("rank");
  const found = state.sel.map((key) => world.byKey.get(key)!).filter((entity) => series && !Number.isNaN(value(ranks, entity, view.period)));
  return state.sel.length ? found : leading;
}

function useMap(view: View): Mapped | null {
  const { rows, state, say, write, colours, world, map: file } = view;
  const narrow = useNarrow();
  return useMemo(() => {
    if (!file || !rows.length) return null;
    const form = FORMS[state.measure]!;
    const style = world.manifest.style.numbers[form]!;
    const shown = {
      measure: state.measure, title: say(state.measure as "points"), form, scale: style.scale, noData: say("noData"),
      decimals: state.measure === "share" ? 2 : style.decimals,
      approval: file.approval ? say("approval", { number: file.approval }) : say("noApproval"),
    };
    return map(rows, shown, file, world.manifest.places, colours, new Set(state.sel), state.lang, write, narrow ? 330 : 446);
  }, [rows, state.measure, state.sel, colours, state.lang, file, narrow]);
}

function useNarrow(): boolean {
  const media = useMemo(() => matchMedia("(max-width: 560px)"), []);
  const [narrow, setNarrow] = useState(media.matches);
  useEffect(() => {
    const moved = () => setNarrow(media.matches);
    media.addEventListener("change", moved);
    return () => media.removeEventListener("change", moved);
  }, []);
  return narrow;
}

function Legend({ classes: { labels, colours }, noData, none, title }: { classes: Classes; noData: string; none: string; title: string }) {
  return (
    <ul class="legend" aria-label={title}>
      {labels.map((label, at) => <li key={label}><span class="swatch" style={{ background: colours[at] }} />{label}</li>)}
      <li><span class="swatch" style={{ background: none }} />{noData}</li>
    </ul>
  );
}

function useLines(view: View, measure: string, entities: number[]): { drawing: Drawing | null; found: Line[] } {
  const { world, state, write, colours, series, frequency } = view;
  return useMemo(() => {
    if (!series) return { drawing: null, found: [] };
    const form = FORMS[measure]!;
    const found: Line[] = entities.map((entity) => ({
      name: called(world.manifest.places[entity]!, state.lang),
      values: frequency.periods.map((period, at) => {
        const number = figure(series, world, measure, entity, at);
        return { period, value: number, provisional: /\bprovisional\b/.test(series.status(series.at.get(entity) ?? -1, at)), text: write(number, form) };
      }),
    }));
    const some = found.some((line) => line.values.some((point) => !Number.isNaN(point.value)));
    const d3 = measure === "share" ? ".2~%" : measure === "growth_yoy" ? ".0%" : measure === "rank" ? "d" : ",~f";
    return {
      found,
      drawing: some
        ? lines(found, state.lang, colours, { title: "", d3, ranks: measure === "rank", signed: measure.startsWith("growth") }, state.period)
        : null,
    };
  }, [series, measure, entities.join(), colours, state.lang, state.period, frequency]);
}

type Made = { drawing: Drawing | null; parts: Part[]; subtitle: string; instead: string; of: string };

/** The parts of the change of the first place chosen, or of the nation; of a leaf, who made the nation's. */
function useParts(view: View): Made {
  const { world, state, say, write, colours, parts, period, node, frequency, series } = view;
  const entity = state.of && series?.at.has(world.byKey.get(state.of)!) ? world.byKey.get(state.of)! : chosen(view)[0]!;
  return useMemo(() => {
    const place = called(world.manifest.places[entity]!, state.lang);
    const when = periodName(state.period, state.lang);
    const none = (instead: string): Made => ({ drawing: null, parts: [], subtitle: `${place} · ${when}`, instead, of: place });
    if (!frequency.contributions) return none(say("noContributions"));
    if (!node.has.contributions?.includes(frequency.id)) {
      const values = series?.measures.get("contribution_pp");
      const found = (series?.entities ?? [])
        .filter((at) => world.manifest.places[at]!.type === state.type && !Number.isNaN(value(values, at, period)))
        .sort((a, b) => value(values, b, period) - value(values, a, period)).slice(0, 12)
        .map((at) => part(called(world.manifest.places[at]!, state.lang), value(values, at, period), "percentage_points", 2));
      return found.length
        ? { drawing: bars(found, say("contribution_pp"), colours), parts: found, subtitle: `${say("noChildren")} ${when}`, instead: "", of: say("national") }
        : none(say("noBefore"));
    }
    if (!parts) return none(say("loading"));
    const total = value(parts.parts.get(state.node), entity, period);
    if (Number.isNaN(total)) return none(say("noBefore"));
    const children = world.manifest.nodes.filter((child) => child.parent === state.node && parts.parts.has(child.id));
    const decimals = figures(Math.abs(total));
    const found = children
      .map((child) => part(child[state.lang], value(parts.parts.get(child.id), entity, period), "points", decimals))
      .filter((one) => !Number.isNaN(one.value)).sort((a, b) => b.value - a.value);
    const link = value(parts.link, entity, period);
    if (link) found.push(part(say("linkEffect"), link, "points", decimals));
    found.push({ ...part(say("total"), total + (link || 0), "points", decimals), total: true });
    let root = node;
    while (root.parent) root = world.manifest.nodes.find((item) => item.id === root.parent)!;
    const unit = say("rootPoints", { name: root[state.lang] });
    return { drawing: waterfall(found, unit, colours), parts: found, subtitle: `${place} · ${when} · ${say("change")}`, instead: "", of: place };
  }, [parts, series, entity, state.node, state.period, state.lang, state.type, colours]);

  function part(name: string, number: number, form: string, decimals?: number): Part {
    return { name, value: number, text: write(number, form, { signed: true, ...(decimals === undefined ? {} : { decimals }) }) };
  }
}

function useSpread(view: View, sorted: View["rows"]): Drawing | null {
  const { world, state, say, write, colours, series, period } = view;
  const entities = state.sel.length ? chosen(view) : sorted.slice(0, 12).map((row) => row.entity);
  return useMemo(() => {
    if (!series?.measures.has("points_se")) return null;
    const found = entities
      .map((entity) => ({ entity, value: figure(series, world, "points", entity, period), se: figure(series, world, "points_se", entity, period) }))
      .filter((one) => !Number.isNaN(one.se))
      .map((one) => {
        const [low, high] = ["rank_low", "rank_high"].map((measure) => figure(series, world, measure, one.entity, period)) as [number, number];
        const range = Number.isNaN(low) ? "" : ` · ${say("rankRange", { low, high })}`;
        return { ...one, name: called(world.manifest.places[one.entity]!, state.lang), text: `${write(one.value, "points")} ± ${write(one.se, "points")}${range}` };
      });
    return found.length ? spreads(found, say("points"), colours) : null;
  }, [series, entities.join(), state.period, state.lang, colours]);
}
