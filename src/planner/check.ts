import { AppError } from "../core/index.js";
import type { PlanningLink, PlanningNode, PlanningProblem } from "./problem.js";

/**
 * Refuses what no plan can be made of: times that are missing, negative or not finite, names and links
 * that occur twice. Throws PROFILE_INVALID or LINKS_INVALID.
 */
export function checkProblem(problem: PlanningProblem): void {
  checkBlocks(problem);
  const names = new Set<string>();
  for (const node of problem.nodes) {
    if (names.has(node.name)) throw invalidProfile(`node ${node.name} occurs twice`);
    names.add(node.name);
    if (node.blockMs.length !== problem.blocks.length) {
      throw invalidProfile(
        `node ${node.name} has ${node.blockMs.length} block times, but the model ${problem.blocks.length} blocks`,
      );
    }
    const bad = node.blockMs.findIndex((ms) => !isQuantity(ms));
    if (bad !== -1) {
      throw invalidProfile(
        `node ${node.name}: the time of block ${bad} is ${node.blockMs[bad]} ms`,
      );
    }
  }
  for (const node of problem.nodes) {
    checkMeasured(node);
    const { name, estimateFactor = 1 } = node;
    if (!isQuantity(estimateFactor) || estimateFactor === 0) {
      throw invalidProfile(`node ${name}: estimateFactor is ${estimateFactor}, not positive`);
    }
  }
  checkLinks(problem.links);
}

/** Refuses links that occur twice or lead nowhere in any time. Throws LINKS_INVALID. */
export function checkLinks(links: readonly PlanningLink[]): void {
  const pairs = new Set<string>();
  for (const link of links) {
    const name = `${link.from} → ${link.to}`;
    if (pairs.has(name)) throw invalidLinks(`link ${name} occurs twice`);
    pairs.add(name);
    if (!isQuantity(link.rttMs)) throw invalidLinks(`link ${name}: rttMs is ${link.rttMs}`);
    if (!isQuantity(link.bandwidthMbps) || link.bandwidthMbps === 0) {
      throw invalidLinks(`link ${name}: bandwidthMbps is ${link.bandwidthMbps}, not positive`);
    }
  }
}

function checkMeasured({ name, measured = [] }: PlanningNode): void {
  const seen = new Set<string>();
  for (const { firstLayer, lastLayer, ms } of measured) {
    const range = `layers ${firstLayer}–${lastLayer}`;
    if (seen.has(range)) throw invalidProfile(`node ${name}: ${range} were measured twice`);
    seen.add(range);
    if (!isQuantity(ms)) throw invalidProfile(`node ${name}: the time of ${range} is ${ms} ms`);
  }
}

function checkBlocks({ blocks, inputBytes }: PlanningProblem): void {
  if (blocks.length === 0) throw invalidProfile("the model has no blocks");
  if (!isQuantity(inputBytes)) throw invalidProfile(`inputBytes is ${inputBytes}`);
  for (const [index, block] of blocks.entries()) {
    const previous = blocks[index - 1];
    const start = previous === undefined ? block.firstLayer : previous.lastLayer + 1;
    if (block.firstLayer !== start || block.lastLayer < start) {
      throw invalidProfile(
        `block ${index} has layers ${block.firstLayer}–${block.lastLayer}, but must begin with ${start}`,
      );
    }
    if (!isQuantity(block.outputBytes)) {
      throw invalidProfile(`block ${index}: outputBytes is ${block.outputBytes}`);
    }
  }
}

function isQuantity(value: number): boolean {
  return Number.isFinite(value) && value >= 0;
}

function invalidProfile(message: string): AppError {
  return new AppError("PROFILE_INVALID", message);
}

function invalidLinks(message: string): AppError {
  return new AppError("LINKS_INVALID", message);
}
