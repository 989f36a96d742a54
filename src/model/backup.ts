/** What is in a backup. */
export interface BackupFacts {
  readonly CreatedAt: string;
  /** Of the fleet that made it. */
  readonly Version: string;
  readonly ClusterID: string;
  /** The manager it was made on. */
  readonly NodeID: string;
  readonly AdvertiseAddr: string;
  readonly Index: number;
  readonly Nodes: number;
  readonly Managers: number;
  readonly Services: number;
  readonly Tasks: number;
  readonly Secrets: number;
  readonly Configs: number;
  readonly Networks: number;
  readonly Autolock: boolean;
}
