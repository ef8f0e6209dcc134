// What each chart draws, from what is chosen and what is loaded.
import { useEffect, useMemo, useState } from "preact/hooks";
import { bars, type Part, spreads, waterfall } from "../charts/bars";
import type { Drawing } from "../charts/Chart";
import { type Line, lines } from "../charts/lines";
import { boxOf, map, type Mapped } from "../charts/map";
import { value } from "../data";
import { figures, periodName } from "../format";
import { called, COLUMNS, figure } from "../model";
import type { View } from "./view";

const FORMS: Record<string, string> = Object.fromEntries(COLUMNS);

export const chosen = ({ world, state, series }: View): number[] => {
  const found = state.sel.map((key) => world.byKey.get(key)!).filter((entity) => series?.at.has(entity));
  return found.length ? found : [world.nation];
};

export function rankable(view: View, leading: number[]): number[] {
  const { world, series, state } = view;
  const ranks = series?.measures.get("rank");
  const found = state.sel
    .map((key) => world.byKey.get(key)!)
    .filter((entity) => series && !Number.isNaN(value(ranks, entity, view.period)));
  return state.sel.length ? found : leading;
}

export function useMap(view: View): Mapped | null {
  const { rows, state, say, write, colours, world, map: file } = view;
  const narrow = useNarrow();
  return useMemo(() => {
    if (!file || !rows.length) return null;
    const form = FORMS[state.measure]!;
    const style = world.manifest.style.numbers[form]!;
    const group = state.within ? world.byKey.get(state.within) : undefined;
    const shown = {
      measure: state.measure,
      title: say(state.measure as "points"),
      form,
      scale: style.scale,
      noData: say(state.within || state.q ? "outside" : "noData"),
      decimals: state.measure === "share" ? 2 : style.decimals,
      box: group
        ? boxOf(
            world.manifest.places.flatMap((place) =>
              place.groups?.includes(group) && file.centres[place.code] ? [file.centres[place.code]!] : [],
            ),
          )
        : null,
      approval: file.approval ? say("approval", { number: file.approval }) : say("noApproval"),
    };
    return map(
      rows,
      shown,
      file,
      world.manifest.places,
      colours,
      new Set(state.sel),
      state.lang,
      write,
      narrow ? 330 : 446,
    );
  }, [rows, state.measure, state.sel.join(), colours, state.lang, file, narrow]);
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

export function useLines(view: View, measure: string, entities: number[]): { drawing: Drawing | null; found: Line[] } {
  const { world, state, write, colours, series, frequency } = view;
  return useMemo(() => {
    if (!series) return { drawing: null, found: [] };
    const form = FORMS[measure]!;
    const found: Line[] = entities.map((entity) => ({
      name: called(world.manifest.places[entity]!, state.lang),
      values: frequency.periods.map((period, at) => {
        const number = figure(series, world, measure, entity, at);
        return {
          period,
          value: number,
          provisional: /\bprovisional\b/.test(series.status(series.at.get(entity) ?? -1, at)),
          text: write(number, form),
        };
      }),
    }));
    const some = found.some((line) => line.values.some((point) => !Number.isNaN(point.value)));
    const d3 = measure === "share" ? ".2~%" : measure === "growth_yoy" ? ".0%" : measure === "rank" ? "d" : ",~f";
    return {
      found,
      drawing: some
        ? lines(
            found,
            state.lang,
            colours,
            { title: "", d3, ranks: measure === "rank", signed: measure.startsWith("growth") },
            state.period,
          )
        : null,
    };
  }, [series, measure, entities.join(), colours, state.lang, state.period, frequency]);
}

export type Made = { drawing: Drawing | null; parts: Part[]; subtitle: string; instead: string; of: string };

/** The parts of the change of the first place chosen, or of the nation; of a leaf, who made the nation's. */
export function useParts(view: View): Made {
  const { world, state, say, write, colours, parts, period, node, frequency, series } = view;
  const entity = state.of && series?.at.has(world.byKey.get(state.of)!) ? world.byKey.get(state.of)! : chosen(view)[0]!;
  return useMemo(() => {
    const place = called(world.manifest.places[entity]!, state.lang);
    const when = periodName(state.period, state.lang);
    const none = (instead: string): Made => ({
      drawing: null,
      parts: [],
      subtitle: `${place} · ${when}`,
      instead,
      of: place,
    });
    if (!frequency.contributions) return none(say("noContributions"));
    if (!node.has.contributions?.includes(frequency.id)) {
      const values = series?.measures.get("contribution_pp");
      const found = (series?.entities ?? [])
        .filter((at) => world.manifest.places[at]!.type === state.type && !Number.isNaN(value(values, at, period)))
        .sort((a, b) => value(values, b, period) - value(values, a, period))
        .slice(0, 12)
        .map((at) =>
          part(called(world.manifest.places[at]!, state.lang), value(values, at, period), "percentage_points", 2),
        );
      return found.length
        ? {
            drawing: bars(found, say("contribution_pp"), colours),
            parts: found,
            subtitle: `${say("noChildren")} ${when}`,
            instead: "",
            of: say("national"),
          }
        : none(say("noBefore"));
    }
    if (!parts) return none(say("loading"));
    const total = value(parts.parts.get(state.node), entity, period);
    if (Number.isNaN(total)) return none(say("noBefore"));
    const children = world.manifest.nodes.filter((child) => child.parent === state.node && parts.parts.has(child.id));
    const decimals = figures(Math.abs(total));
    const found = children
      .map((child) => part(child[state.lang], value(parts.parts.get(child.id), entity, period), "points", decimals))
      .filter((one) => !Number.isNaN(one.value))
      .sort((a, b) => b.value - a.value);
    const link = value(parts.link, entity, period);
    if (link) found.push(part(say("linkEffect"), link, "points", decimals));
    found.push({ ...part(say("total"), total + (link || 0), "points", decimals), total: true });
    let root = node;
    while (root.parent) root = world.manifest.nodes.find((item) => item.id === root.parent)!;
    const unit = say("rootPoints", { name: root[state.lang] });
    return {
      drawing: waterfall(found, unit, colours),
      parts: found,
      subtitle: `${place} · ${when} · ${say("change")}`,
      instead: "",
      of: place,
    };
  }, [parts, series, entity, state.node, state.period, state.lang, state.type, colours]);

  function part(name: string, number: number, form: string, decimals?: number): Part {
    return {
      name,
      value: number,
      text: write(number, form, { signed: true, ...(decimals === undefined ? {} : { decimals }) }),
    };
  }
}

export function useSpread(view: View, sorted: View["rows"]): Drawing | null {
  const { world, state, say, write, colours, series, period } = view;
  const entities = state.sel.length ? chosen(view) : sorted.slice(0, 12).map((row) => row.entity);
  return useMemo(() => {
    if (!series?.measures.has("points_se")) return null;
    const found = entities
      .map((entity) => ({
        entity,
        value: figure(series, world, "points", entity, period),
        se: figure(series, world, "points_se", entity, period),
      }))
      .filter((one) => !Number.isNaN(one.se))
      .map((one) => {
        const [low, high] = ["rank_low", "rank_high"].map((measure) =>
          figure(series, world, measure, one.entity, period),
        ) as [number, number];
        const range = Number.isNaN(low) ? "" : ` · ${say("rankRange", { low, high })}`;
        return {
          ...one,
          name: called(world.manifest.places[one.entity]!, state.lang),
          text: `${write(one.value, "points")} ± ${write(one.se, "points")}${range}`,
        };
      });
    return found.length ? spreads(found, say("points"), colours) : null;
  }, [series, entities.join(), state.period, state.lang, colours]);
}
