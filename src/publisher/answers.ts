/** Every error of the HTTP API: `{"error": {"code", "message"}}`. */
export function errorResponse(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
