// What made a change, as a waterfall of parts; who made it, as bars; and points with their standard error.
import type { Colours } from "../data";
import type { Datum, Drawing } from "./Chart";

export type Part = { name: string; value: number; text: string; total?: boolean };

const frame = (rows: number) => ({
  width: "container",
  height: Math.max(140, rows * 26 + 30),
  autosize: { type: "fit", contains: "padding" },
  padding: { left: 8, right: 58, top: 8, bottom: 8 },
  data: { name: "source" },
});
const names = {
  field: "name",
  type: "nominal",
  sort: null,
  title: null,
  axis: { labelLimit: 170, labelPadding: 8, minExtent: 90 },
};
const zero = (colours: Colours) => ({
  mark: { type: "rule" },
  encoding: { x: { datum: 0 }, color: { value: colours.line } },
});

/** Parts that add up, each beginning where the one before ends, and their total from zero. */
export function waterfall(parts: Part[], title: string, colours: Colours): Drawing {
  let sum = 0;
  const values: Datum[] = parts.map((part) => {
    const from = part.total ? 0 : sum;
    sum = part.total ? sum : sum + part.value;
    const to = part.total ? part.value : sum;
    return {
      ...part,
      from,
      to,
      low: Math.min(from, to),
      high: Math.max(from, to),
      kind: part.total ? "total" : part.value < 0 ? "fall" : "rise",
    };
  });
  return {
    spec: { ...frame(parts.length), encoding: { y: names }, layer: barsWith("low", "high", title, colours) },
    values,
  };
}

/** Bars from zero. */
export function bars(parts: Part[], title: string, colours: Colours): Drawing {
  const values: Datum[] = parts.map((part) => ({
    ...part,
    low: Math.min(0, part.value),
    high: Math.max(0, part.value),
    kind: part.value < 0 ? "fall" : "total",
  }));
  return {
    spec: { ...frame(parts.length), encoding: { y: names }, layer: barsWith("low", "high", title, colours) },
    values,
  };
}

function barsWith(low: string, high: string, title: string, colours: Colours): unknown[] {
  const [rise, fall] = [colours.sequential[3], colours.categorical[1]];
  return [
    {
      mark: { type: "bar", height: { band: 0.66 }, cornerRadiusEnd: 0 },
      encoding: {
        x: {
          field: low,
          type: "quantitative",
          title,
          axis: { grid: true, tickCount: 5, format: ",~f" },
          scale: { nice: false, zero: true },
        },
        x2: { field: high },
        color: {
          field: "kind",
          type: "nominal",
          scale: { domain: ["rise", "fall", "total"], range: [rise, fall, colours.accent] },
          legend: null,
        },
        tooltip: [
          { field: "name", type: "nominal", title: " " },
          { field: "text", type: "nominal", title },
        ],
      },
    },
    zero(colours),
    {
      mark: { type: "text", align: "left", dx: 5, fontSize: 12, color: colours.ink },
      encoding: { x: { field: high, type: "quantitative" }, text: { field: "text" } },
    },
  ];
}

export type Spread = { name: string; value: number; se: number; text: string };

/** Points with one standard error to each side. */
export function spreads(found: Spread[], title: string, colours: Colours): Drawing {
  const x = {
    field: "value",
    type: "quantitative",
    title,
    axis: { grid: true, tickCount: 5, format: ",~f" },
    scale: { zero: false, padding: 16 },
  };
  return {
    spec: {
      ...frame(found.length),
      padding: 8,
      encoding: {
        y: names,
        tooltip: [
          { field: "name", type: "nominal", title: " " },
          { field: "text", type: "nominal", title },
        ],
      },
      layer: [
        {
          mark: { type: "rule", strokeWidth: 2, color: colours.accent },
          encoding: { x: { ...x, field: "low" }, x2: { field: "high" } },
        },
        {
          mark: { type: "tick", thickness: 2, size: 9, color: colours.accent },
          encoding: { x: { ...x, field: "low" } },
        },
        {
          mark: { type: "tick", thickness: 2, size: 9, color: colours.accent },
          encoding: { x: { ...x, field: "high" } },
        },
        { mark: { type: "point", filled: true, size: 60, color: colours.accent }, encoding: { x } },
      ],
    },
    values: found.map((one) => ({ ...one, low: one.value - one.se, high: one.value + one.se })),
  };
}
