/** Something that a room sends in a later turn. */
export interface HeldDelivery {
  readonly byteLength: number;
  deliver(): void;
  /** Whether all members must have the last message before. */
  mustWait?(): boolean;
  /** Called instead of `deliver` where the room has closed. */
  drop?(): void;
}
