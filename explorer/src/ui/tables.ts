// What is downloaded: the rows that are shown, each saying where it comes from and how it was rounded.
import type { Part } from "../charts/bars";
import type { Line } from "../charts/lines";
import type { Cell } from "../csv";
import type { Row } from "../model";
import type { View } from "./view";

type Made = { header: string[]; rows: Cell[][] };

const SOURCE = ["index", "release", "table", "node"];
const source = ({ world, frequency, state }: View): Cell[] => [
  world.manifest.index,
  world.manifest.release ?? "not released",
  frequency.table,
  state.node,
];

function rounding({ series }: View, measures: string[]): string {
  const told = measures.map((measure) =>
    measure === "share"
      ? "share: points / points of the nation"
      : `${measure}: ${(series?.measures.get(measure) ?? series?.measures.get(`${measure}_yoy`))?.decimals ?? 0} decimals`,
  );
  return `rounded; ${told.join("; ")}`;
}

const rounded = (measure: string, number: number): Cell => (measure === "share" ? Number(number.toFixed(8)) : number);

export function rowTable(view: View, rows: Row[], measures: string[]): Made {
  const told = rounding(view, measures);
  return {
    header: [
      ...SOURCE,
      "period",
      "entity_type",
      "entity_code",
      "name_zh",
      "name_en",
      ...measures,
      "status",
      "rounding",
    ],
    rows: rows.map((row) => [
      ...source(view),
      view.state.period,
      row.place.type,
      row.place.code,
      row.place.zh,
      row.place.en,
      ...measures.map((measure) => rounded(measure, row[measure] as number)),
      row.status,
      told,
    ]),
  };
}

export function lineTable(view: View, found: Line[], measure: string): Made {
  const told = rounding(view, [measure]);
  return {
    header: [...SOURCE, "period", "name", measure, "provisional", "rounding"],
    rows: found.flatMap((line) =>
      line.values.map((point) => [
        ...source(view),
        point.period,
        line.name,
        rounded(measure, point.value),
        String(point.provisional),
        told,
      ]),
    ),
  };
}

export function contributionTable(view: View, parts: Part[], of: string): Made {
  return {
    header: ["index", "release", "table", "node", "period", "of", "part", "value", "rounding"],
    rows: parts.map((part) => [
      view.world.manifest.index,
      view.world.manifest.release ?? "not released",
      view.frequency.contributions ?? "",
      view.state.node,
      view.state.period,
      of,
      part.name,
      part.value,
      "rounded to 4 decimals",
    ]),
  };
}
