import { duration } from '../base/clock.ts'
import type { Config } from '../bridge/config.ts'
import type { MaxAges } from '../cm/block-verdict.ts'

/** The ages of the settings in milliseconds (CM wire 9.7). */
export function maxAgesOf(settings: Config['cmServer']): MaxAges {
  return {
    data: settings.dataMaxAgeDays * duration.day,
    'message-announcement': settings.announcementMaxAgeDays * duration.day,
    acknowledgment: settings.acknowledgmentMaxAgeDays * duration.day,
    'key-announcement': settings.keyMaxAgeDays * duration.day,
    'address-claim': settings.claimMaxAgeDays * duration.day,
  }
}
