/** The entry that was put into the map first goes; where each use puts it in anew, the one unused for longest. */
export function forgetFirst(map: Map<string, unknown>): void {
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
}
