import { type FileHandle, open } from "node:fs/promises";
import { Readable } from "node:stream";
import type { Context } from "hono";
import { errorResponse } from "./answers.js";
import { matchesEtag, parseRange } from "./ranges.js";

/** Answers GET and HEAD for a file that never changes, since its SHA-256 is its name. */
export async function serveArtifact(
  context: Context,
  file: { path: string; sha256: string },
): Promise<Response> {
  const etag = `"${file.sha256}"`;
  const headers = {
    ETag: etag,
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Type": "application/octet-stream",
  };
  if (matchesEtag(context.req.header("If-None-Match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  const handle = await open(file.path).catch(() => undefined);
  if (handle === undefined) {
    return errorResponse(404, "NOT_FOUND", "the daemon no longer has this file");
  }
  let streaming = false;
  try {
    const { size } = await handle.stat();
    // A range of something else than what the client began with is of no use to it.
    const ifRange = context.req.header("If-Range");
    const wanted = ifRange === undefined || ifRange === etag;
    const range = parseRange(wanted ? context.req.header("Range") : undefined, size);
    if (range.kind === "unsatisfiable") {
      const refusal = errorResponse(416, "RANGE_NOT_SATISFIABLE", `the file has ${size} bytes`);
      refusal.headers.set("Content-Range", `bytes */${size}`);
      return refusal;
    }
    const { first, last } = range.kind === "part" ? range : { first: 0, last: size - 1 };
    const body = { first, last, length: last - first + 1 };
    streaming = context.req.method === "GET" && body.length > 0;
    return new Response(streaming ? streamOf(handle, body) : null, {
      status: range.kind === "part" ? 206 : 200,
      headers: {
        ...headers,
        "Content-Length": String(body.length),
        ...(range.kind === "part" ? { "Content-Range": `bytes ${first}-${last}/${size}` } : {}),
      },
    });
  } finally {
    if (!streaming) await handle.close();
  }
}

/** Closes the file when it was read to its end, and when the client goes away. */
function streamOf(handle: FileHandle, range: { first: number; last: number }): ReadableStream {
  const stream = handle.createReadStream({ start: range.first, end: range.last });
  return Readable.toWeb(stream) as ReadableStream;
}
