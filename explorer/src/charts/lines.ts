// Courses over time: a measure of some entities, or their ranks.
import type { Colours, Lang } from "../data";
import { periodName } from "../format";
import type { Datum, Drawing } from "./Chart";

export type Line = { name: string; values: { period: string; value: number; provisional: boolean; text: string }[] };

/** First day of a period, for an axis of time. */
export function day(period: string): string {
  const [year, rest] = [period.slice(0, 4), period.slice(4)];
  if (rest === "") return `${year}-01-01`;
  const number = Number(rest.slice(1));
  const month = rest.startsWith("H") ? number * 6 - 5 : rest.startsWith("Q") ? number * 3 - 2 : number;
  return `${year}-${String(month).padStart(2, "0")}-01`;
}

export function lines(
  found: Line[],
  lang: Lang,
  colours: Colours,
  form: { title: string; d3: string; ranks: boolean; signed: boolean },
  chosen: string,
): Drawing {
  const values: Datum[] = found.flatMap((line) =>
    line.values
      .filter((point) => !Number.isNaN(point.value))
      .map((point) => ({ ...point, date: day(point.period), name: line.name, told: periodName(point.period, lang) })),
  );
  const names = found.map((line) => line.name);
  const y = {
    field: "value",
    type: "quantitative",
    title: form.title || null,
    axis: { format: form.d3, tickCount: 5, ...(form.ranks ? { tickMinStep: 1 } : {}) },
    scale: form.ranks ? { reverse: true, zero: false, nice: false, padding: 12 } : { zero: false, nice: true },
  };
  const x = {
    field: "date",
    type: "temporal",
    timeUnit: "utcyearmonth",
    title: null,
    axis: { format: "%Y", tickCount: { interval: "year", step: 1 }, labelAngle: 0 },
    scale: { type: "utc", padding: 14 },
  };
  const scale = { domain: names, range: colours.categorical.slice(0, names.length) };
  const legend = names.length > 1 ? { title: null, symbolType: "stroke", columns: 3, labelLimit: 180 } : null;
  const color = { field: "name", type: "nominal", scale, legend };
  const dots = found.reduce((most, line) => Math.max(most, line.values.length), 0) <= 24;
  const tooltip = [
    { field: "name", type: "nominal", title: " " },
    { field: "told", type: "nominal", title: "  " },
    { field: "text", type: "nominal", title: form.title },
  ];
  const spec = {
    width: "container",
    height: 300,
    autosize: { type: "fit", contains: "padding" },
    data: { name: "source" },
    layer: [
      {
        mark: { type: "rule", color: colours.line, strokeDash: [3, 3] },
        encoding: { x: { datum: utc(chosen), type: "temporal" } },
      },
      ...(form.signed ? [{ mark: { type: "rule", color: colours.line }, encoding: { y: { datum: 0 } } }] : []),
      { mark: { type: "line", strokeWidth: form.ranks ? 2.5 : 2 }, encoding: { x, y, color } },
      ...(dots
        ? [{ mark: { type: "point", filled: true, size: 54, opacity: 1 }, encoding: { x, y, color, tooltip } }]
        : []),
      ...(dots && values.some((datum) => datum.provisional)
        ? [
            {
              transform: [{ filter: "datum.provisional" }],
              mark: { type: "point", filled: true, size: 18, opacity: 1, color: colours.surface },
              encoding: { x, y, detail: { field: "name" }, tooltip },
            },
          ]
        : []),
      {
        mark: { type: "point", filled: true, size: 240, opacity: 0 },
        encoding: { x, y, detail: { field: "name" }, tooltip },
      },
    ],
  };
  return { spec, values };
}

function utc(period: string): Record<string, unknown> {
  const [year, month] = day(period).split("-").map(Number);
  return { year, month, date: 1, utc: true };
}
