/** The date format of KillrChat, UTC to the second: `2015-03-14 20:31:48`. */
export function dateText(date: Date): string {
  return date.toISOString().slice(0, 19).replace("T", " ");
}
