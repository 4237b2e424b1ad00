import { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { isAppError } from "../core/index.js";
import {
  controlSchema,
  nameSchema,
  parseJson,
  sha256Schema,
  UPDATES_PATH,
} from "../protocol/index.js";
import type { Access } from "./access.js";
import { errorResponse } from "./answers.js";
import { serveArtifact } from "./artifacts.js";
import type { ArtifactRequest, PublisherDeps } from "./contract.js";
import { type AppEnv, createGuard, requireRole } from "./guard.js";
import { PAGE_SECURITY_POLICY, statusPage } from "./page.js";
import { matchesEtag } from "./ranges.js";
import type { UpdateStream } from "./stream.js";

const CONTROL_BYTES_MAX = 65_536;

const decisionsQuerySchema = z.object({
  pipeline: nameSchema.optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

/** Every route but the WebSocket upgrade. */
export function createApp(stream: UpdateStream, access: Access, deps: PublisherDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(async (context, next) => {
    await next();
    const { status, headers } = context.res;
    headers.set("X-Content-Type-Options", "nosniff");
    if (status >= 400) deps.onEvent?.({ kind: "request-refused", status });
  });
  app.use(createGuard(access));
  addHealthRoutes(app, deps);
  addApiRoutes(app, stream, deps);
  addArtifactRoutes(app, deps);
  app.get("/", async (context) => {
    const page = await statusPage(deps.api.status());
    return context.html(page, 200, { "Content-Security-Policy": PAGE_SECURITY_POLICY });
  });
  addControlRoute(app, stream, deps);
  app.notFound((context) => {
    if (context.req.method !== "GET" && context.req.method !== "HEAD") {
      const answer = errorResponse(405, "METHOD_NOT_ALLOWED", "only GET and HEAD are served");
      answer.headers.set("Allow", "GET, HEAD");
      return answer;
    }
    return errorResponse(404, "NOT_FOUND", "nothing is served at this path");
  });
  app.onError((error, context) => {
    deps.log.error({ err: error, path: context.req.path }, "request failed");
    return errorResponse(500, "INTERNAL", "the daemon failed to answer; its log says why");
  });
  return app;
}

function addHealthRoutes(app: Hono<AppEnv>, deps: PublisherDeps): void {
  const { api, metrics } = deps;
  app.get("/healthz", (context) => context.json({ status: "ok" }));
  app.get("/readyz", (context) => {
    const problems = api.problems();
    const ready = problems.length === 0;
    // Problems name nodes and files, which are none of a stranger's business.
    const body = context.get("principal") === undefined ? { ready } : { ready, problems };
    return context.json(body, ready ? 200 : 503);
  });
  app.get("/metrics", async (context) =>
    context.body(await metrics.render(), 200, { "Content-Type": metrics.contentType }),
  );
}

function addApiRoutes(app: Hono<AppEnv>, stream: UpdateStream, deps: PublisherDeps): void {
  const { api } = deps;
  app.get("/api/v1/status", (context) => context.json(api.status()));
  app.get("/api/v1/pipelines", (context) => context.json({ pipelines: api.status().pipelines }));
  app.get("/api/v1/pipelines/:name/plan", (context) => servePlan(context, stream));
  app.get("/api/v1/decisions", (context) => {
    const query = decisionsQuerySchema.safeParse(context.req.query());
    if (!query.success) {
      return errorResponse(400, "BAD_QUERY", "use ?pipeline=NAME and ?limit=1…1000");
    }
    const { pipeline, limit } = query.data;
    const decisions = api
      .decisions()
      .filter((decision) => pipeline === undefined || decision.pipeline === pipeline);
    return context.json({ decisions: decisions.slice(0, limit) });
  });
  app.get("/api/v1/events", (context) => {
    const query = z
      .array(nameSchema)
      .max(1_000)
      .safeParse(context.req.queries("pipeline") ?? []);
    if (!query.success) return errorResponse(400, "BAD_QUERY", "use ?pipeline=NAME");
    if (context.req.method === "HEAD") return context.body(null);
    const { incoming, outgoing } = context.env;
    if (!(outgoing instanceof ServerResponse)) {
      return errorResponse(505, "HTTP_VERSION", "use HTTP/1.1 for server-sent events");
    }
    stream.handleReader(incoming, outgoing, query.data.length === 0 ? undefined : query.data);
    return RESPONSE_ALREADY_SENT;
  });
  app.get(UPDATES_PATH, () => {
    const answer = errorResponse(426, "UPGRADE_REQUIRED", "this is a WebSocket");
    answer.headers.set("Upgrade", "websocket");
    return answer;
  });
}

/** The same document as on the update stream; its ETag is unique for ever. */
function servePlan(context: Context, stream: UpdateStream): Response {
  const name = context.req.param("name");
  const plan = stream.current()?.plans.find((each) => each.pipeline === name);
  if (plan === undefined) {
    return errorResponse(404, "NOT_FOUND", "no pipeline of this name has a plan");
  }
  const etag = `"${plan.epoch}.${plan.revision}"`;
  const headers = { ETag: etag, "Cache-Control": "no-cache" };
  if (matchesEtag(context.req.header("If-None-Match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(stream.frames.planText(plan), {
    headers: { ...headers, "Content-Type": "application/json" },
  });
}

/** A JSON body, so that no page of a foreign origin can send it without being asked about. */
function addControlRoute(app: Hono<AppEnv>, stream: UpdateStream, deps: PublisherDeps): void {
  const limit = bodyLimit({
    maxSize: CONTROL_BYTES_MAX,
    onError: () => errorResponse(413, "TOO_LARGE", `at most ${CONTROL_BYTES_MAX} bytes`),
  });
  const path = "/api/v1/pipelines/:name/control";
  app.post(path, requireRole("admin"), limit, async (context) => {
    if (!stream.isAllowedOrigin(context.env.incoming)) {
      return errorResponse(403, "ORIGIN", "pages of this origin may not do this");
    }
    if (context.req.header("Content-Type")?.split(";")[0]?.trim() !== "application/json") {
      return errorResponse(415, "MEDIA_TYPE", "send application/json");
    }
    const command = parseJson(await context.req.text(), controlSchema);
    if (!command.ok) return errorResponse(400, "BAD_CONTROL", command.message);
    const by = context.get("principal")?.name ?? "anybody";
    try {
      await deps.api.control(context.req.param("name"), { command: command.value, by });
    } catch (error) {
      if (isAppError(error, "USAGE")) return errorResponse(409, error.code, error.message);
      throw error;
    }
    return context.json({ accepted: true }, 202);
  });
}

function addArtifactRoutes(app: Hono<AppEnv>, deps: PublisherDeps): void {
  const serve = (context: Context, request: ArtifactRequest, sha256: string) => {
    const path = deps.api.artifactPath(request);
    if (path === undefined) {
      return errorResponse(404, "NOT_FOUND", "no model or partition of this SHA-256");
    }
    return serveArtifact(context, { path, sha256 });
  };
  app.use("/api/v1/models/*", requireRole("runtime", "admin"));
  app.get("/api/v1/models/:model", (context) => {
    const model = sha256Schema.safeParse(context.req.param("model"));
    if (!model.success) return errorResponse(404, "NOT_FOUND", "models are named by SHA-256");
    return serve(context, { kind: "model", modelSha256: model.data }, model.data);
  });
  app.get("/api/v1/models/:model/sidecars/:sidecar", (context) => {
    const model = sha256Schema.safeParse(context.req.param("model"));
    const sidecar = sha256Schema.safeParse(context.req.param("sidecar"));
    if (!model.success || !sidecar.success) {
      return errorResponse(404, "NOT_FOUND", "models and their files are named by SHA-256");
    }
    const request = { modelSha256: model.data, sidecarSha256: sidecar.data };
    return serve(context, { kind: "sidecar", ...request }, sidecar.data);
  });
  app.get("/api/v1/models/:model/partitions/:file", (context) => {
    const model = sha256Schema.safeParse(context.req.param("model"));
    const file = context.req.param("file");
    const partition = sha256Schema.safeParse(file.replace(/\.onnx$/, ""));
    if (!model.success || !partition.success || !file.endsWith(".onnx")) {
      return errorResponse(404, "NOT_FOUND", "partitions are named <SHA-256>.onnx");
    }
    const partitionSha256 = partition.data;
    const request = { kind: "partition", modelSha256: model.data, partitionSha256 } as const;
    return serve(context, request, partitionSha256);
  });
}
