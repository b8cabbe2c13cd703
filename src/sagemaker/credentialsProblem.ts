/** Why there are no credentials that can be signed with, for people. */

/** What is wrong, without any secret, and what to do. Becomes the cause of `CredentialsUnavailable`. */
export class CredentialsProblem extends Error {
  override readonly name = "CredentialsProblem"
  /** What to do; undefined where the usual advice will do. */
  readonly todo: string | undefined
  constructor(message: string, todo: string | undefined) {
    super(message)
    this.todo = todo
  }
}
