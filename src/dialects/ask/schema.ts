/** Wire types and validators of the document. */

import { z } from 'zod';

export const answered = z.object({ response: z.object({ message: z.string(), conversation_id: z.uuid() }) });

/** A form has no numbers and no null: there an empty text stands for none. */
const named = z.union([z.string(), z.number().int()]).nullish();
export const question = z.object({ prompt: z.string().min(1), conversation_id: named });
export const inQuery = z.object({ conversation_id: z.string().exactOptional() });
export const byId = z.object({ conversation_id: z.string() });
