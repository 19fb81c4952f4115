import { listAccounts } from '../store/account-queries.ts'
import type { CertificateChange } from '../store/certificate-memory.ts'
import { draftNotice, type NoticeContext } from './inbound-notices.ts'

/**
 * A CM server shows another certificate than it did: everybody who logs in there is told, once for each
 * certificate (design 9). Never rejects: failing to tell is logged and changes nothing: without LOGIN the change shows in `status` too.
 */
export function tellCertificateChange(context: NoticeContext, change: CertificateChange): Promise<void> {
  return tell(context, change).catch((cause: unknown) =>
    context.log.error({ cause }, 'telling of a changed certificate failed'),
  )
}

async function tell(context: NoticeContext, change: CertificateChange): Promise<void> {
  const { hostPort, remembered, seen, kind } = change
  const concerned = listAccounts(context.store.read).filter(({ servers, network }) =>
    [...servers, ...(network.old?.servers ?? []), ...network.publishServers].some(
      (server) => server.toLowerCase() === hostPort.toLowerCase(),
    ),
  )
  for (const account of concerned) {
    const notice = await draftNotice(context, account, {
      notice: {
        kind: 'server-certificate-changed',
        hostPort,
        remembered,
        seen,
        isReplaced: kind === 'replaced',
      },
      subject: `${hostPort} ${seen.sha256}`,
    })
    await context.store.write('deliverNotice', { accountId: account.id, notice })
  }
}
