// Tables as text: RFC 4180, with texts that a spreadsheet would run made harmless.

const OPENING = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'"];

export type Cell = string | number | null;

export const neutral = (text: string): string => (OPENING.some((sign) => text.startsWith(sign)) ? `'${text}` : text);

function cell(value: Cell): string {
  if (value === null || (typeof value === "number" && !Number.isFinite(value))) return "";
  const text = typeof value === "number" ? String(value) : neutral(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csv = (header: string[], rows: Cell[][]): string =>
  [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";

/** Give a file to the reader. A mark in front tells a spreadsheet that it is UTF-8. */
export function saveText(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  save(name, url);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function save(name: string, url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
