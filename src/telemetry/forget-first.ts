/** Of a map whose entries are put at its end whenever they are used: the one unused for longest goes. */
export function forgetFirst(map: Map<string, unknown>): void {
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
}
