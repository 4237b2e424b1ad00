import { AppError } from "../core/index.js";
import type { Profile } from "../protocol/index.js";
import { type BenchmarkRequest, benchmarkModel } from "./benchmark.js";
import type { BenchmarkOptions } from "./options.js";
import { judgeSentinel, readSentinel, refreshProfile, type SentinelReading } from "./sentinel.js";
import { whyNotVerified } from "./verified.js";
import type { BenchmarkDeps } from "./with-model.js";

export interface Renewed {
  profile: Profile;
  /** What was done and why, in plain words. */
  outcome: string;
}

/** A benchmark of which it is known what file it is of, and maybe what came of the last one. */
export interface RenewRequest extends BenchmarkRequest {
  sha256: string;
  /** A short look is enough where it says that `previous` still holds. */
  mayLook: boolean;
}

/**
 * A profile as of now. Where it may, a short look says whether the one from before still holds,
 * holds when scaled, or has to be measured anew.
 * @throws AppError MODEL_CHANGED where the file is not that of `sha256`; MODEL_NOT_EQUAL; MODEL_*,
 * INFERENCE_*, ABORTED
 */
export async function renewProfile(
  { sha256, mayLook, ...request }: RenewRequest,
  options: BenchmarkOptions,
  deps: BenchmarkDeps,
): Promise<Renewed> {
  const { previous } = request;
  const looked: Looked =
    !mayLook || previous === undefined || !options.sentinel.enabled
      ? { outcome: "measured" }
      : await look(previous, { request, options, deps });
  const anew = { ...request, previous: looked.corrected ?? previous };
  const profile = looked.profile ?? (await benchmarkModel(anew, options, deps));
  if (profile.model.sha256 !== sha256) {
    throw new AppError("MODEL_CHANGED", "the model's file was changed while it was benchmarked");
  }
  if (!profile.equality.ok) throw new AppError("MODEL_NOT_EQUAL", notEqual(profile));
  return { profile, outcome: looked.outcome };
}

interface Looked {
  /** Where the look is enough. */
  profile?: Profile;
  /** Where it is not: the profile from before, with what the look found of the blocks. */
  corrected?: Profile;
  outcome: string;
}

async function look(
  previous: Profile,
  context: { request: BenchmarkRequest; options: BenchmarkOptions; deps: BenchmarkDeps },
): Promise<Looked> {
  const { request, options, deps } = context;
  const stale = whyNotVerified(previous, request, options);
  if (stale !== undefined) return { outcome: `measured anew: ${stale}` };
  const reading = await readSentinel({ ...request, previous }, options, deps);
  const verdict = judgeSentinel(previous, reading, options.sentinel);
  switch (verdict.kind) {
    case "ok":
      return { profile: refreshProfile(previous, reading, 1), outcome: "looked: it holds" };
    case "scale":
      return {
        profile: refreshProfile(previous, reading, verdict.factor),
        outcome: `looked: scaled by ${verdict.factor.toFixed(3)}`,
      };
    case "full":
      return {
        corrected: withFindings(previous, reading),
        outcome: `looked, and measured anew: ${verdict.reason}`,
      };
  }
}

/** What was looked at may have been measured badly before, if the model as a whole takes what it took. */
function withFindings(profile: Profile, { times }: SentinelReading): Profile {
  const { sentinel } = profile;
  if (sentinel === undefined || sentinel.blocks.length !== times.length) return profile;
  const blocks = sentinel.blocks.map((block, index) => {
    return { ...block, medianMs: times[index]?.nowMs ?? block.medianMs };
  });
  return { ...profile, sentinel: { blocks } };
}

/** Why a profile must not be planned with: its blocks, chained, are another model. */
export function notEqual({ node, model, equality }: Profile): string {
  const error = equality.maxRelativeError.toPrecision(2);
  return `on ${node.name} the blocks of ${model.name}, chained, compute something else than the model (relative error ${error})`;
}
