/**
 * Dice, handed in so that a seed replays a run exactly. The default draws from the system's
 * cryptographic generator; a seeded one belongs in tests, because nonces must not be guessable.
 */
export interface Random {
  /** A number in [0, 1), uniformly distributed. */
  next(): number

  /** `length` independent random bytes in a fresh array that the caller owns. */
  bytes(length: number): Uint8Array
}
