/** How long one attempt at a session may last, for what within it has a patience of its own and could say more on its end. */
import * as Context from "effect/Context"

/** In ms; no bound but the settings' where nobody has set it. */
export const AttemptBound: Context.Reference<number> = Context.Reference("effect-flux-sagemaker/AttemptBound", {
  defaultValue: () => Number.POSITIVE_INFINITY
})
