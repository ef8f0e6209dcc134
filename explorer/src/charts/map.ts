// Where it is: areas coloured by class, or circles at the centres where no outlines are known.
import type { Colours, Lang, MapFile, Place } from "../data";
import type { Numbers } from "../format";
import { numberOf, type Row } from "../model";
import type { Datum, Drawing } from "./Chart";
import { type Classes, classes, classOf } from "./classes";

export type Shown = {
  measure: string;
  title: string;
  form: string;
  scale: number;
  decimals: number | null;
  noData: string;
  approval: string;
  /** What is looked at: corners in the plane of the map; all of it without. */
  box: Box | null;
};
export type Box = [number, number, number, number];
export type Mapped = { drawing: Drawing; classes: Classes };

/** The map of some rows: of areas of their own type, or of the areas of their members. */
export function map(
  rows: Row[],
  shown: Shown,
  file: MapFile,
  places: Place[],
  colours: Colours,
  selected: Set<string>,
  lang: Lang,
  write: Numbers,
  height: number,
): Mapped | null {
  const type = rows[0]?.place.type ?? "";
  const [finest] = Object.keys(file.layers);
  const layer = file.layers[type] ? type : finest;
  const made = classes(
    rows.map((row) => numberOf(row, shown.measure)),
    shown.form,
    shown.scale,
    shown.decimals,
    shown.measure === "rank",
    shown.measure.startsWith("growth"),
    write,
    colours,
  );
  const datum = (row: Row, code: string, name: string): Datum => {
    const number = numberOf(row, shown.measure);
    const none = Number.isNaN(number);
    return {
      code,
      key: row.key,
      name,
      text: none ? shown.noData : write(number, shown.form),
      chosen: selected.has(row.key),
      fill: none ? colours.no_data : made.colours[classOf(made, number)],
      class: none ? shown.noData : made.labels[classOf(made, number)],
      size: Math.abs(numberOf(row, "points")) || 0,
    };
  };
  let values: Datum[];
  if (!layer || (layer !== type && !rows.some((row) => row.place.type !== layer))) {
    values = rows.flatMap((row) => {
      const at = file.centres[row.place.code];
      return at ? [{ ...datum(row, row.place.code, row.name), x: at[0], y: at[1] }] : [];
    });
    if (!values.length) return null;
    return {
      drawing: {
        spec: points(shown, file, colours, height),
        values: values.sort((a, b) => (b.size as number) - (a.size as number)),
      },
      classes: made,
    };
  }
  if (layer === type) values = rows.map((row) => datum(row, row.place.code, row.name));
  else {
    const byEntity = new Map(rows.map((row) => [row.entity, row]));
    values = places.flatMap((place) => {
      const group = place.type === layer ? place.groups?.find((at) => byEntity.has(at)) : undefined;
      const row = group === undefined ? undefined : byEntity.get(group)!;
      return row
        ? [datum(row, place.code, `${row.name} · ${lang === "zh" ? (place.short ?? place.zh) : place.en}`)]
        : [];
    });
    if (!values.length) return null;
  }
  return { drawing: { ...areas(layer, shown, file, colours, lang, height, made), values }, classes: made };
}

/** The territory is always drawn whole: what has no value is grey. */
function areas(
  layer: string,
  shown: Shown,
  file: MapFile,
  colours: Colours,
  lang: Lang,
  height: number,
  made: Classes,
): Omit<Drawing, "values"> {
  const { topology, names } = layerOf(file, layer);
  const feature = (name: string) => ({ name: `${layer}-${name}`, format: { type: "topojson", feature: name } });
  const lookup = [
    {
      lookup: "properties.code",
      from: { data: { name: "source" }, key: "code", fields: ["key", "name", "text", "chosen", "fill", "class"] },
    },
    { calculate: `isValid(datum.fill) ? datum.fill : '${colours.no_data}'`, as: "fill" },
    { calculate: `isValid(datum.class) ? datum.class : '${shown.noData}'`, as: "class" },
    { calculate: `isValid(datum.name) ? datum.name : '${shown.noData}'`, as: "name" },
  ];
  const outline = names.includes("groups_outline") ? "groups_outline" : "areas_outline";
  const lines: [string, string, number][] = [
    ["areas_borders", colours.border, 0.5],
    ["groups_borders", colours.muted, 0.6],
    [outline, colours.muted, 0.6],
    ["lines", colours.muted, 1.2],
    ["frame", colours.muted, 0.8],
  ];
  const tooltip = [
    { field: "name", type: "nominal", title: " " },
    { field: "text", type: "nominal", title: shown.title },
  ];
  const shape = (colour: unknown) => ({
    data: feature("areas"),
    transform: lookup,
    mark: { type: "geoshape", stroke: null, cursor: "pointer", clip: true },
    encoding: { fill: colour, tooltip },
  });
  const layers = (colour: unknown) => [
    shape(colour),
    ...lines
      .filter(([name]) => names.includes(name) && !(shown.box && (name === "lines" || name === "frame")))
      .map(([name, stroke, strokeWidth]) => ({
        data: feature(name),
        mark: { type: "geoshape", fill: null, stroke, strokeWidth, strokeJoin: "round", clip: true },
      })),
    {
      data: feature("areas"),
      transform: [...lookup, { filter: "datum.chosen" }],
      mark: { type: "geoshape", fill: null, stroke: colours.ink, strokeWidth: 2, strokeJoin: "round", clip: true },
    },
    ...notes(file, shown, colours, lang),
  ];
  const frame = {
    width: "container",
    height,
    autosize: { type: "fit", contains: "padding" },
    projection: projection(shown.box),
    config: { padding: 0 },
  };
  const legend = {
    title: shown.title,
    orient: "bottom-left",
    direction: "vertical",
    offset: 24,
    symbolStrokeColor: colours.line,
    symbolStrokeWidth: 0.5,
  };
  const labels = [...made.labels].reverse();
  return {
    spec: { ...frame, layer: layers({ field: "fill", type: "nominal", scale: null, legend: null }) },
    picture: {
      ...frame,
      layer: layers({
        field: "class",
        type: "nominal",
        scale: { domain: [...labels, shown.noData], range: [...[...made.colours].reverse(), colours.no_data] },
        legend,
      }),
    },
    data: Object.fromEntries(names.map((name) => [`${layer}-${name}`, topology])),
  };
}

/** The whole map, or one part of it that fills the frame. */
function projection(box: Box | null): Record<string, unknown> {
  if (!box) return { type: "identity" };
  const [x0, y0, x1, y1] = box;
  const scale = `min(width / ${x1 - x0}, height / ${y1 - y0})`;
  const translate = `[width / 2 - ${(x0 + x1) / 2} * ${scale}, height / 2 - ${(y0 + y1) / 2} * ${scale}]`;
  return { type: "identity", scale: { expr: scale }, translate: { expr: translate } };
}

/** Corners around the members of a group, with a margin. */
export function boxOf(centres: [number, number][]): Box | null {
  if (!centres.length) return null;
  const [xs, ys] = [centres.map(([x]) => x), centres.map(([, y]) => y)];
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const margin = 34 + 0.2 * Math.max(x1 - x0, y1 - y0);
  return [x0 - margin, y0 - margin, x1 + margin, y1 + margin];
}

function points(shown: Shown, file: MapFile, colours: Colours, height: number): Record<string, unknown> {
  return {
    width: "container",
    height,
    autosize: { type: "fit", contains: "padding" },
    projection: { type: "identity" },
    layer: [
      {
        data: {
          values: [
            { x: 0, y: 0 },
            { x: file.width, y: file.height },
          ],
        },
        mark: { type: "point", opacity: 0 },
        encoding: at("x", "y"),
      },
      {
        data: { name: "source" },
        mark: { type: "circle", opacity: 0.9, cursor: "pointer" },
        encoding: {
          ...at("x", "y"),
          size: {
            field: "size",
            type: "quantitative",
            scale: { type: "linear", domainMin: 0, range: [16, 700] },
            legend: null,
          },
          fill: { field: "fill", type: "nominal", scale: null, legend: null },
          stroke: { condition: { test: "datum.chosen", value: colours.ink }, value: colours.surface },
          strokeWidth: { condition: { test: "datum.chosen", value: 2.5 }, value: 0.8 },
          tooltip: [
            { field: "name", type: "nominal", title: " " },
            { field: "text", type: "nominal", title: shown.title },
          ],
        },
      },
    ],
  };
}

/** The title of the box, and the slot for the map's approval number. */
function notes(file: MapFile, shown: Shown, colours: Colours, lang: Lang): unknown[] {
  const text = { type: "text", align: "left", baseline: "bottom", color: colours.muted };
  const slot = {
    data: { values: [{}] },
    mark: { ...text, fontSize: 10 },
    encoding: { text: { value: shown.approval }, x: { value: 0 }, y: { value: "height" } },
  };
  if (!file.inset || shown.box) return [slot];
  const said = file.inset[lang];
  return [
    slot,
    {
      // Below the box, which is too small for it at this size.
      data: { values: [{ x: file.width, y: file.height }] },
      mark: { ...text, align: "right", baseline: "top", fontSize: 9, lineHeight: 10, lineBreak: "\n", dy: 4 },
      encoding: { ...at("x", "y"), text: { value: said } },
    },
  ];
}

const at = (x: string, y: string) => ({
  longitude: { field: x, type: "quantitative" },
  latitude: { field: y, type: "quantitative" },
});

const known = new WeakMap<object, { topology: object; names: string[] }>();

/** A layer and the names of its objects; each object is read from the same topology. */
function layerOf(file: MapFile, layer: string): { topology: object; names: string[] } {
  const topology = file.layers[layer]!;
  let found = known.get(topology);
  if (!found) known.set(topology, (found = { topology, names: Object.keys(topology.objects) }));
  return found;
}
