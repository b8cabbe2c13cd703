/** What a benchmark and its server's process say to each other. */
import * as Schema from "effect/Schema"

/** How much it has used so far, or what its sessions have heard. */
export const Question = Schema.Literals(["usage", "records"])
export type Question = typeof Question.Type

/** It listens. */
export const Listening = Schema.Struct({ url: Schema.String, certificate: Schema.optionalKey(Schema.String) })
export type Listening = typeof Listening.Type

/** CPU in ms, user and system together; `now` in ms. */
export const Usage = Schema.Struct({ cpu: Schema.Finite, now: Schema.Finite, rssBytes: Schema.Int })
export type Usage = typeof Usage.Type

/** Of all sessions so far: how many, how many ended as they should, and the audio that came. */
export const Records = Schema.Struct({ sessions: Schema.Int, ended: Schema.Int, audioBytes: Schema.Int })
export type Records = typeof Records.Type
