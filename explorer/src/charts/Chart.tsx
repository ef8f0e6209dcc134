// A Vega-Lite chart on the page: drawn when it comes into sight, given new rows where only these have changed.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import embed, { vega, type Result, type VisualizationSpec } from "vega-embed";
import type { Colours } from "../data";
import type { Cell } from "../csv";
import { csv, save, saveText } from "../csv";
import type { Say } from "../i18n";

export type Datum = Record<string, unknown>;
/** A specification whose rows are the data set `source`; `picture` is what a download draws instead of it. */
export type Drawing = {
  spec: Record<string, unknown>;
  values: Datum[];
  picture?: Record<string, unknown>;
  data?: Record<string, object>;
};

type Props = {
  drawing: Drawing | null;
  label: string;
  colours: Colours;
  renderer?: "canvas" | "svg";
  height: number;
  onPick?: (datum: Datum) => void;
  instead?: string;
};

export function Chart({ drawing, label, colours, renderer = "svg", height, onPick, instead }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<{ key: string; result: Result } | null>(null);
  const picked = useRef(onPick);
  picked.current = onPick;
  const seen = useSeen(box);
  const key = drawing ? JSON.stringify(drawing.spec) + (colours.surface + renderer) : "";

  useEffect(() => {
    if (!seen || !box.current) return;
    if (!drawing) {
      drawn.current?.result.finalize();
      drawn.current = null;
      box.current.replaceChildren();
      return;
    }
    if (drawn.current?.key === key) {
      const { view } = drawn.current.result;
      begun(
        view
          .change(
            "source",
            vega
              .changeset()
              .remove(() => true)
              .insert(drawing.values),
          )
          .runAsync(),
      );
      return;
    }
    const old = drawn.current;
    drawn.current = null;
    let given_up = false;
    begun(
      draw(box.current, drawing, colours, renderer).then((result) => {
        if (given_up) {
          result.finalize();
          return;
        }
        old?.result.finalize();
        drawn.current = { key, result };
        result.view.addEventListener("click", (_, item) => {
          const datum = (item as { datum?: Datum } | null)?.datum;
          if (datum) picked.current?.(datum);
        });
      }),
    );
    return () => {
      if (!drawn.current) given_up = true;
    };
  }, [key, drawing, seen]);

  useEffect(() => () => drawn.current?.result.finalize(), []);
  return (
    <div class="chart" style={{ minHeight: drawing ? `${height}px` : undefined }}>
      <div ref={box} role="img" aria-label={label} hidden={!drawing} />
      {!drawing && <p class="instead">{instead}</p>}
    </div>
  );
}

const unfinished = new Set<Promise<unknown>>();

function begun(promise: Promise<unknown>): void {
  unfinished.add(promise);
  promise.finally(() => unfinished.delete(promise));
}

/** Resolves once every chart that was begun is drawn. */
export async function settled(): Promise<void> {
  while (unfinished.size) await Promise.all(unfinished);
}

const draw = (box: HTMLElement, { spec, values, data }: Drawing, colours: Colours, renderer: "canvas" | "svg") =>
  embed(box, { ...spec, datasets: { ...data, source: values } } as unknown as VisualizationSpec, {
    actions: false,
    renderer,
    config: colours.config,
    tooltip: { theme: "custom", sanitize: escaped },
  });

const escaped = (value: unknown): string =>
  String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function useSeen(box: { current: HTMLElement | null }): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => setSeen(entries.some((entry) => entry.isIntersecting)), {
      rootMargin: "200px",
    });
    if (box.current?.parentElement) watch.observe(box.current.parentElement);
    return () => watch.disconnect();
  }, []);
  return seen;
}

/** A chart as a picture of its own, with its title and where its numbers come from. */
export async function savePicture(
  drawing: Drawing,
  colours: Colours,
  kind: "png" | "svg",
  name: string,
  title: string,
  subtitle: string[],
  height: number,
): Promise<void> {
  const box = document.createElement("div");
  const spec = {
    ...(drawing.picture ?? drawing.spec),
    title: { text: title, subtitle },
    width: 860,
    height,
    padding: 20,
    autosize: { type: "fit", contains: "padding" },
  };
  const { view, finalize } = await draw(box, { ...drawing, spec }, colours, "svg");
  save(name, await view.toImageURL(kind, 2));
  finalize();
}

type CardProps = {
  id: string;
  title: string;
  subtitle: string;
  say: Say;
  file: string;
  drawing: Drawing | null;
  colours: Colours;
  height: number;
  /** What a picture says beside title and subtitle: what it is of, and where its numbers come from. */
  of: string;
  credit: string;
  table: (() => { header: string[]; rows: Cell[][] }) | null;
  controls?: ComponentChildren;
  children: ComponentChildren;
};

/** A chart or table with its title and what can be downloaded of it. */
export function Card({
  id,
  title,
  subtitle,
  say,
  file,
  drawing,
  colours,
  height,
  of,
  credit,
  table,
  controls,
  children,
}: CardProps) {
  const picture = (kind: "png" | "svg") => () =>
    drawing &&
    savePicture(
      drawing,
      colours,
      kind,
      `${file}.${kind}`,
      `${of} · ${title}`,
      [subtitle, credit].filter(Boolean),
      height,
    );
  const rows = () => {
    const made = table?.();
    if (made) saveText(`${file}.csv`, csv(made.header, made.rows));
  };
  return (
    <section class="card" id={id} aria-labelledby={`${id}-title`}>
      <header class="card-head">
        <div>
          <h2 id={`${id}-title`}>{title}</h2>
          <p class="sub">{subtitle}</p>
        </div>
        <div class="downloads" role="group" aria-label={`${say("download")}: ${title}`}>
          {table && (
            <button type="button" class="quiet" onClick={rows} aria-label={`${say("download")} CSV: ${title}`}>
              CSV
            </button>
          )}
          {drawing && (
            <button
              type="button"
              class="quiet"
              onClick={picture("png")}
              aria-label={`${say("download")} PNG: ${title}`}
            >
              PNG
            </button>
          )}
          {drawing && (
            <button
              type="button"
              class="quiet"
              onClick={picture("svg")}
              aria-label={`${say("download")} SVG: ${title}`}
            >
              SVG
            </button>
          )}
        </div>
      </header>
      {controls}
      {children}
    </section>
  );
}
