import { parseValue, type Profile, profileSchema } from "../protocol/index.js";
import type { JsonFiles } from "../store/index.js";
import type { AgentOptions } from "./options.js";

/**
 * Publishes what this node measured before, as it is now named and placed: the broker may be a new one,
 * or may have lost what it retained. As many as are kept at most; what cannot be read is left out.
 */
export async function publishKept(
  profiles: JsonFiles,
  { name, tier, hardwareClass }: AgentOptions["node"],
  publish: (profile: Profile) => void,
): Promise<void> {
  for (const sha256 of await profiles.names()) {
    const profile = parseValue(await profiles.load(sha256), profileSchema);
    if (!profile.ok || profile.value.model.sha256 !== sha256) continue;
    const { node } = profile.value;
    const isOwn = node.name === name && node.tier === tier && node.hardwareClass === hardwareClass;
    if (isOwn) publish(profile.value);
  }
}
