/** Reading settings from a Config. */
import * as Config from "effect/Config"
import * as Option from "effect/Option"

/** A value that may be absent; one that is there and wrong is still an error. */
export const optional = <A>(value: Config.Config<A>): Config.Config<A | undefined> =>
  Config.map(Config.option(value), Option.getOrUndefined)
