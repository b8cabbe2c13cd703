/** Why there are no credentials that can be signed with, for people. */

/** What is wrong, without any secret, and what to do. Becomes the cause of `CredentialsUnavailable`. */
export class CredentialsProblem extends Error {
  override readonly name = "CredentialsProblem"
  /** What to do; undefined where the usual advice will do. */
  readonly todo: string | undefined
  /** Whether the provider may give some when it is asked again. */
  readonly transient: boolean
  constructor(message: string, todo: string | undefined, transient = false) {
    super(message)
    this.todo = todo
    this.transient = transient
  }
}
