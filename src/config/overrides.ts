import { z } from "zod";

/** The same keys, each optional and without its default: what a section overrides of another. */
export function overridesOf<T extends object>(
  schema: z.ZodObject,
): z.ZodPrefault<z.ZodType<Partial<T>, Partial<T>>> {
  const entries = Object.entries<z.core.$ZodType>(schema.shape).map(([key, field]) => {
    const inner = field instanceof z.ZodDefault ? field.unwrap() : field;
    const { description } = field as z.ZodType;
    const optional = (inner as z.ZodType).optional();
    return [key, description === undefined ? optional : optional.describe(description)] as const;
  });
  const overrides = z.strictObject(Object.fromEntries(entries)) as unknown;
  return (overrides as z.ZodType<Partial<T>, Partial<T>>).prefault({});
}
