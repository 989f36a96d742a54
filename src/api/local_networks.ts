/** How the overlay networks and the mesh of this node are, for people. */
export interface LocalNetworks {
  /** Who balances published ports and virtual addresses: `ipvs` or `nftables`. */
  readonly mesh?: string;
  readonly networks: number;
  /** What somebody else had changed and was put right again, since the agent started. */
  readonly drift: number;
  readonly audits: number;
  /** Network to what is wrong with it here. */
  readonly problems: Readonly<Record<string, string>>;
}
