// Where it is: circles at the centres of places, coloured by class.
import type { Colours } from "../data";
import type { Row } from "../model";
import { numberOf } from "../model";
import type { Datum, Drawing } from "./Chart";

export type Shown = { measure: string; title: string; d3: string; text: (row: Row) => string };

/** Seven classes of equal count; two-sided around zero where numbers lie on both sides of it. */
export function classes(values: number[], measure: string, colours: Colours): Record<string, unknown> {
  const known = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (measure.startsWith("growth") && known.length && known[0]! < 0 && known.at(-1)! > 0) {
    const reach = Math.max(...[0.05, 0.95].map((part) => Math.abs(known[Math.floor(part * (known.length - 1))]!)));
    return { type: "quantize", domain: [-reach, reach], range: colours.diverging };
  }
  const range = measure === "rank" ? [...colours.sequential].reverse() : colours.sequential;
  return { type: "quantile", range };
}

export function map(rows: Row[], shown: Shown, colours: Colours, selected: Set<string>): Drawing {
  const values: Datum[] = rows
    .filter((row) => row.place.lon !== undefined && !Number.isNaN(numberOf(row, shown.measure)))
    .map((row) => ({
      key: row.key, name: row.name, lon: row.place.lon, lat: row.place.lat,
      value: numberOf(row, shown.measure), size: Math.abs(row.points as number), text: shown.text(row), chosen: selected.has(row.key),
    }));
  const scale = classes(values.map((datum) => datum.value as number), shown.measure, colours);
  return {
    spec: {
      width: "container",
      height: 420,
      autosize: { type: "fit", contains: "padding" },
      data: { name: "source" },
      projection: { type: "mercator" },
      mark: { type: "circle", opacity: 0.9, stroke: colours.surface, strokeWidth: 0.8, cursor: "pointer" },
      encoding: {
        longitude: { field: "lon", type: "quantitative" },
        latitude: { field: "lat", type: "quantitative" },
        size: { field: "size", type: "quantitative", scale: { type: "sqrt", range: [24, 900] }, legend: null },
        order: { field: "size", sort: "descending" },
        color: { field: "value", type: "quantitative", scale, legend: legend(shown) },
        stroke: { condition: { test: "datum.chosen", value: colours.ink }, value: colours.surface },
        strokeWidth: { condition: { test: "datum.chosen", value: 2.5 }, value: 0.8 },
        tooltip: [{ field: "name", type: "nominal", title: " " }, { field: "text", type: "nominal", title: shown.title }],
      },
    },
    values,
  };
}

export const legend = (shown: Shown): Record<string, unknown> => ({
  title: null, type: "symbol", format: shown.d3, orient: "bottom", direction: "horizontal", columns: 4, symbolType: "square", symbolOpacity: 1,
});
