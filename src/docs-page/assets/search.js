/** The operations of all services, and which of them fit a search. */

/** @param services as in the catalog */
export function indexOf(services) {
  const operations = [];
  for (const service of services) {
    service.operations.forEach((operation, index) => {
      operation.service = service;
      operation.key = `${operation.method} ${operation.template}`;
      operation.order = operations.length;
      operation.position = index;
      operations.push({
        operation,
        name: operation.name.toLowerCase(),
        path: operation.template.toLowerCase(),
        whole:
          `${service.name}.${operation.name} ${operation.method} ${operation.template} ${operation.summary} ${operation.comment ?? ""} ${service.comment}`.toLowerCase(),
      });
    });
  }
  return operations;
}

/** What fits all words of the text, best first. An empty text fits nothing: there is the list then. */
export function search(index, text) {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== "")
    .slice(0, 10);
  const found = [];
  for (const entry of index) {
    let score = 0;
    for (const word of words) {
      const points = pointsOf(entry, word);
      if (points === 0) {
        score = 0;
        break;
      }
      score += points;
    }
    if (score > 0) found.push({ operation: entry.operation, score });
  }
  return found
    .sort((a, b) => b.score - a.score || a.operation.order - b.operation.order)
    .map(each => each.operation);
}

function pointsOf({ name, path, whole }, word) {
  if (name === word) return 16;
  if (name.startsWith(word)) return 8;
  if (name.includes(word)) return 6;
  if (path.includes(word)) return 4;
  return whole.includes(word) ? 1 : 0;
}
