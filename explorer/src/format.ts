// Numbers as text, in the forms that the manifest brings along.
import type { Form, Lang, Style } from "./data";

const MINUS = "−";
const written = new Map<number, Intl.NumberFormat>();

function fixed(decimals: number): Intl.NumberFormat {
  let found = written.get(decimals);
  if (!found) {
    found = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    written.set(decimals, found);
  }
  return found;
}

/** Four figures or so: 1,087.1, 53.21, 0.653, 0.0102. */
export function figures(size: number): number {
  if (size >= 100 || size === 0 || !Number.isFinite(size)) return 1;
  return size >= 10 ? 2 : size >= 0.1 ? 3 : 4;
}

export type Numbers = (
  value: number,
  form: string,
  options?: { decimals?: number; signed?: boolean; said?: boolean },
) => string;

/** The writer of numbers of a style in a language; what is no number is written as missing. */
export function numbers(style: Style, lang: Lang): Numbers {
  return (value, name, { decimals, signed = false, said = false } = {}) => {
    const form: Form = style.numbers[name]!;
    if (Number.isNaN(value)) return name === "places" ? style.not_yet : style.missing;
    if (name === "places") return value === 0 ? style.missing : `${value > 0 ? "▲" : "▼"}${Math.abs(value)}`;
    const scaled = value * form.scale;
    const text = fixed(decimals ?? form.decimals ?? figures(Math.abs(scaled))).format(Math.abs(scaled));
    const sign = !/[1-9]/.test(text) ? "" : scaled < 0 ? MINUS : signed ? "+" : "";
    const after = said && Object.keys(form.said).length ? form.said : form.after;
    return `${sign}${text}${after[lang] ?? ""}`;
  };
}

/** Decimals for a column of numbers of very different sizes: fit for the one in the middle, one or two. */
export function columnDecimals(values: number[]): number {
  const sizes = values
    .filter((value) => !Number.isNaN(value))
    .map(Math.abs)
    .sort((a, b) => a - b);
  if (!sizes.length) return 1;
  return Math.min(2, figures(sizes[sizes.length >> 1]!));
}

/** A period as people write it: 2019年3月, Mar 2019. */
export function periodName(key: string, lang: Lang): string {
  const [year, rest] = [key.slice(0, 4), key.slice(4)];
  if (rest === "") return lang === "zh" ? `${year}年` : year;
  if (rest.startsWith("H")) return lang === "zh" ? `${year}年${rest === "H1" ? "上" : "下"}半年` : `${rest} ${year}`;
  if (rest.startsWith("Q"))
    return lang === "zh" ? `${year}年${"一二三四"[Number(rest[1]) - 1]}季度` : `${rest} ${year}`;
  const month = Number(rest.slice(1));
  if (lang === "zh") return `${year}年${month}月`;
  return `${"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ")[month - 1]} ${year}`;
}
