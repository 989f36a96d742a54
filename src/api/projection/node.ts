import { daysLeft } from "../../core/pki/renewal_schedule.ts";
import { timeMs } from "../../model/meta.ts";
import type { Node } from "../../model/node.ts";
import type { ManagerState } from "../backend.ts";
import { withoutEmpty } from "./task_spec.ts";

/**
 * A node as Docker's API shows it; managers with what raft knows of them, and, beyond Docker's, how long the
 * certificate lasts.
 */
export function nodeJson(
  node: Node,
  managers: ManagerState,
  nowMs: number,
): Record<string, unknown> {
  // A node that is ready but can have no overlay networks says why.
  const message = node.Status.Message || node.Description?.Overlay?.Problem;
  const member = managers.managers.find(({ nodeId }) => nodeId === node.ID);
  return {
    ID: node.ID,
    Version: node.Version,
    CreatedAt: node.CreatedAt,
    UpdatedAt: node.UpdatedAt,
    Spec: {
      ...(node.Spec.Name ? { Name: node.Spec.Name } : {}),
      Labels: node.Spec.Labels ?? {},
      Role: node.Spec.Role ?? "worker",
      Availability: node.Spec.Availability ?? "active",
    },
    Description: {
      Hostname: node.Description?.Hostname ?? "",
      Platform: node.Description?.Platform ?? {},
      Resources: node.Description?.Resources ?? {},
      Engine: withoutEmpty(node.Description?.Engine ?? {}),
      TLSInfo: node.Description?.TLSInfo ?? {},
    },
    Status: {
      State: node.Status.State,
      ...(message ? { Message: message } : {}),
      Addr: node.Status.Addr ?? "",
    },
    ...(member
      ? {
        ManagerStatus: {
          ...(managers.leaderId === node.ID ? { Leader: true } : {}),
          Reachability: member.reachable ? "reachable" : "unreachable",
          Addr: member.addr,
        },
      }
      : {}),
    ...(node.CertificateExpiry === undefined ? {} : {
      CertificateExpiry: node.CertificateExpiry,
      CertificateDaysLeft: daysLeft(timeMs(node.CertificateExpiry), nowMs),
    }),
  };
}
