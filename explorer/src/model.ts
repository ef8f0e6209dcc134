// From what is chosen and what is loaded to the rows that are shown.
import { type Frequency, type Lang, type Manifest, type Place, type Series, value, type Values } from "./data";
import { matches, type Needle, needle } from "./search";
import { keyOf, type State } from "./state";

export type Row = {
  entity: number;
  key: string;
  place: Place;
  name: string;
  status: string;
  [measure: string]: number | string | Place;
};

export type World = {
  manifest: Manifest;
  needles: Needle[];
  byKey: Map<string, number>;
  nation: number;
};

export function world(manifest: Manifest): World {
  return {
    manifest,
    needles: manifest.places.map(needle),
    byKey: new Map(manifest.places.map((place, at) => [keyOf(place), at])),
    nation: manifest.places.findIndex((place) => place.type === "nation"),
  };
}

export const frequencyOf = (manifest: Manifest, state: State): Frequency =>
  manifest.frequencies.find((item) => item.id === state.freq)!;

export const called = (place: Place, lang: Lang): string => (lang === "zh" ? (place.short ?? place.zh) : place.en);
export const calledInFull = (place: Place, lang: Lang): string => (lang === "zh" ? place.zh : place.en);

/** Columns of the table in their order, each with the form its numbers are written in; only those that there are. */
export const COLUMNS: [string, string][] = [
  ["rank", "rank"],
  ["rank_change", "places"],
  ["points", "points"],
  ["mean_points", "points"],
  ["share", "fraction"],
  ["growth_yoy", "fraction"],
  ["growth_mom", "fraction"],
  ["growth_qoq", "fraction"],
  ["cagr", "fraction"],
  ["contribution_pp", "percentage_points"],
  ["imputed_share", "fraction"],
];

/** The number of an entity: a published one, or the part its points are of the nation's. */
export function figure(series: Series, world: World, measure: string, entity: number, period: number): number {
  if (measure === "share") {
    const points = series.measures.get("points");
    return value(points, entity, period) / value(points, world.nation, period);
  }
  if (measure === "rank_change") return value(rankChange(series), entity, period);
  return value(series.measures.get(measure), entity, period);
}

const rankChange = (series: Series): Values | undefined =>
  series.measures.get("rank_change") ?? series.measures.get("rank_change_yoy");

export const has = (series: Series, measure: string): boolean =>
  measure === "share"
    ? series.measures.has("points")
    : measure === "rank_change"
      ? !!rankChange(series)
      : series.measures.has(measure);

/** The rows of one type of place in one period, as far as they match the search and lie within the group chosen. */
export function rows(series: Series, world: World, state: State, period: number): Row[] {
  const { manifest, needles } = world;
  const group = state.within ? (world.byKey.get(state.within) ?? -1) : -1;
  const found = series.entities.filter((entity) => {
    const place = manifest.places[entity]!;
    if (place.type !== state.type || (group >= 0 && !place.groups?.includes(group))) return false;
    return !state.q || matches(needles[entity]!, state.q);
  });
  return rowsOf(found, series, world, state, period);
}

/** The rows of some entities in one period. */
export function rowsOf(entities: number[], series: Series, world: World, state: State, period: number): Row[] {
  const measures = COLUMNS.map(([measure]) => measure).filter((measure) => has(series, measure));
  return entities.map((entity) => {
    const place = world.manifest.places[entity]!;
    const row: Row = {
      entity,
      key: keyOf(place),
      place,
      name: called(place, state.lang),
      status: series.status(series.at.get(entity) ?? -1, period),
    };
    for (const measure of measures) row[measure] = figure(series, world, measure, entity, period);
    return row;
  });
}

/** The columns that have a number in any of the rows. */
export const filled = (series: Series, shown: Row[]): [string, string][] =>
  COLUMNS.filter(([measure]) => has(series, measure) && shown.some((row) => !Number.isNaN(row[measure])));

export const numberOf = (row: Row, measure: string): number => row[measure] as number;
