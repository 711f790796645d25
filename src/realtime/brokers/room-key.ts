/**
 * A room's name in letters that keys and subjects of any server take: base64url of its UTF-8. Different names give
 * different texts, without dots, spaces or wildcards.
 */
export function roomKey(room: string): string {
  return Buffer.from(room).toString("base64url");
}

export function roomOfKey(key: string): string {
  return Buffer.from(key, "base64url").toString();
}
