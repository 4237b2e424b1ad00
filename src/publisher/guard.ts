import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import type { Access, Principal, Role } from "./access.js";
import { errorResponse } from "./answers.js";

/** What every handler knows of its request. */
export interface AppEnv {
  Bindings: HttpBindings;
  Variables: { principal: Principal | undefined };
}

/** Probes of supervisors bring no token: whether the daemon lives is no secret. */
const OPEN_PATHS = new Set(["/healthz", "/readyz"]);

/** Lets strangers see nothing but the health. */
export function createGuard(access: Access): MiddlewareHandler<AppEnv> {
  return async (context, next) => {
    const principal = access.identify(context.env.incoming);
    if (principal === undefined && !OPEN_PATHS.has(context.req.path)) {
      const answer = errorResponse(
        401,
        "UNAUTHORIZED",
        "give a bearer token or a client certificate",
      );
      answer.headers.set("WWW-Authenticate", "Bearer");
      return answer;
    }
    context.set("principal", principal);
    return next();
  };
}

/** Lets only these roles through. */
export function requireRole(...roles: readonly Role[]): MiddlewareHandler<AppEnv> {
  return async (context, next) => {
    const role = context.get("principal")?.role;
    if (role !== undefined && roles.includes(role)) return next();
    return errorResponse(403, "FORBIDDEN", `this needs the role ${roles.join(" or ")}`);
  };
}
