// The table: sorted by its headings, only the rows in sight are on the page, arrows move from row to row.
import {
  type ColumnDef,
  createSortedRowModel,
  rowSortingFeature,
  type SortingState,
  tableFeatures,
  useTable,
} from "@tanstack/preact-table";
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { columnDecimals } from "../format";
import type { Word } from "../i18n";
import { filled, numberOf, type Row } from "../model";
import { flags, toggled, type View } from "./view";

const HEIGHT = 38;
const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() });
type Columns = ColumnDef<typeof features, Row>[];
const collators = { zh: new Intl.Collator("zh-CN"), en: new Intl.Collator("en") };

/** The rows as they are sorted, and the columns they have. */
export function useSorted(view: View) {
  const { series, rows, state, change } = view;
  const shown = useMemo(() => (series ? filled(series, rows) : []), [series, rows]);
  const columns = useMemo<Columns>(
    () => [
      {
        id: "name",
        accessorFn: (row) => row.name,
        sortFn: (a, b) => collators[state.lang].compare(a.original.name, b.original.name),
      },
      ...shown.map(([measure]) => ({
        id: measure,
        // Undefined, and not NaN, is what the library keeps at the end in either direction.
        accessorFn: (row: Row) => (Number.isNaN(row[measure]) ? undefined : numberOf(row, measure)),
        sortFn: (a: { original: Row }, b: { original: Row }) =>
          numberOf(a.original, measure) - numberOf(b.original, measure),
        sortUndefined: "last" as const,
      })),
    ],
    [shown, state.lang],
  );
  const sorting = useMemo<SortingState>(() => {
    const id = state.sort.replace(/^-/, "");
    return columns.some((column) => column.id === id)
      ? [{ id, desc: state.sort.startsWith("-") }]
      : [{ id: "name", desc: false }];
  }, [state.sort, columns]);
  const table = useTable({
    features,
    columns,
    data: rows,
    state: { sorting },
    enableSortingRemoval: false,
    onSortingChange: (updater) => {
      const next = typeof updater === "function" ? updater(sorting) : updater;
      if (next[0]) change({ sort: (next[0].desc ? "-" : "") + next[0].id });
    },
  });
  return { table, shown, sorted: table.getRowModel().rows.map((row) => row.original), sorting: sorting[0]! };
}

type Sorted = ReturnType<typeof useSorted>;

export function Table({ view, sorted: { shown, sorted, sorting } }: { view: View; sorted: Sorted }) {
  const { state, change, say, write } = view;
  const box = useRef<HTMLDivElement>(null);
  const { items, total, toRow } = useVirtual(box, sorted.length);
  const [focused, setFocused] = useState(0);
  const wanted = useRef(false);
  const at = Math.min(focused, Math.max(0, sorted.length - 1));
  const decimals = useMemo(
    () =>
      new Map(
        shown
          .filter(([, form]) => form === "points")
          .map(([measure]) => [measure, columnDecimals(sorted.map((row) => numberOf(row, measure)))]),
      ),
    [shown, sorted],
  );
  const selected = new Set(state.sel);
  const sort = (id: string, descendingFirst: boolean) => () =>
    change({ sort: sorting.id === id ? (sorting.desc ? id : `-${id}`) : descendingFirst ? `-${id}` : id });
  const move = (to: number) => {
    const place = Math.max(0, Math.min(sorted.length - 1, to));
    wanted.current = true;
    toRow(place);
    setFocused(place);
  };
  useLayoutEffect(() => {
    if (!wanted.current) return;
    const row = box.current?.querySelector<HTMLElement>(`[data-at="${at}"]`);
    if (row) {
      wanted.current = false;
      row.focus({ preventScroll: true });
    }
  });
  const pressed = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 400) / HEIGHT) - 2);
    const steps: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      PageDown: () => move(at + page),
      PageUp: () => move(at - page),
      Home: () => move(0),
      End: () => move(sorted.length - 1),
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  };
  const heading = (id: string, numeric: boolean, descendingFirst: boolean) => (
    <th
      key={id}
      scope="col"
      class={numeric ? "number" : "first"}
      aria-sort={sorting.id === id ? (sorting.desc ? "descending" : "ascending") : "none"}
    >
      <button type="button" onClick={sort(id, descendingFirst)} title={say(id as Word)}>
        <span aria-hidden="true">{say(`${id}_short` as Word)}</span>
        <span class="unseen">{say(id as Word)}</span>
        <span class="arrow" aria-hidden="true">
          {sorting.id === id ? (sorting.desc ? "↓" : "↑") : ""}
        </span>
      </button>
    </th>
  );
  const first = items[0]?.start ?? 0;
  const last = total - (items.at(-1)?.end ?? 0);
  return (
    <div class="rows" ref={box} role="region" aria-label={say("table")} tabIndex={sorted.length ? -1 : 0}>
      <table aria-rowcount={sorted.length + 1} onKeyDown={pressed}>
        <thead>
          <tr aria-rowindex={1}>
            {heading("name", false, false)}
            {shown.map(([measure]) => heading(measure, true, measure !== "rank"))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && (
            <tr aria-hidden="true" style={{ height: `${first}px` }}>
              <td colSpan={shown.length + 1} />
            </tr>
          )}
          {items.map(({ index }) => {
            const row = sorted[index]!;
            const told = flags(row.status, say);
            return (
              <tr key={row.key} class={selected.has(row.key) ? "chosen" : ""} aria-rowindex={index + 2}>
                <th scope="row" class="first">
                  <label>
                    <input
                      type="checkbox"
                      checked={selected.has(row.key)}
                      data-at={index}
                      tabIndex={index === at ? 0 : -1}
                      aria-label={say("selectRow", { name: row.name })}
                      disabled={!selected.has(row.key) && state.sel.length >= 6}
                      onFocus={() => setFocused(index)}
                      onChange={() => change({ sel: toggled(state.sel, row.key) })}
                    />
                    <span class="place">{row.name}</span>
                    {told.length > 0 && (
                      <span class="mark" title={told.join(", ")}>
                        {told.length ? "*" : ""}
                        <span class="unseen">{told.join(", ")}</span>
                      </span>
                    )}
                  </label>
                </th>
                {shown.map(([measure, form]) => {
                  const number = numberOf(row, measure);
                  const direction = form === "places" ? (number > 0 ? "up" : number < 0 ? "down" : "") : "";
                  return (
                    <td key={measure} class={`number ${direction}`}>
                      {write(number, form, {
                        signed: /growth|cagr/.test(measure),
                        ...(form === "points" && decimals.has(measure) ? { decimals: decimals.get(measure)! } : {}),
                        ...(measure === "share" || measure === "contribution_pp" ? { decimals: 2 } : {}),
                      })}
                    </td>
                  );
                })}
              </tr>
            );
          })}
          {last > 0 && (
            <tr aria-hidden="true" style={{ height: `${last}px` }}>
              <td colSpan={shown.length + 1} />
            </tr>
          )}
        </tbody>
      </table>
      {!sorted.length && <p class="instead">{say("none")}</p>}
    </div>
  );
}

/** The rows in sight. */
function useVirtual(box: { current: HTMLDivElement | null }, count: number) {
  const [, again] = useReducer((turn: number) => turn + 1, 0);
  const options = {
    count,
    getScrollElement: () => box.current,
    estimateSize: () => HEIGHT,
    overscan: 8,
    scrollPaddingStart: 44,
    initialRect: { width: 800, height: 480 },
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => again(0),
  };
  const virtual = useMemo(() => new Virtualizer<HTMLDivElement, Element>(options), []);
  virtual.setOptions(options);
  useLayoutEffect(() => virtual._didMount(), []);
  useLayoutEffect(() => virtual._willUpdate());
  useEffect(() => {
    box.current?.scrollTo({ top: 0 });
  }, [count]);
  return {
    items: virtual.getVirtualItems(),
    total: virtual.getTotalSize(),
    toRow: (index: number) => virtual.scrollToIndex(index),
  };
}
