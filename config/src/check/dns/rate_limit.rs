//! Response rate limiting: ranges, and rates that follow `responses_per_second`.

use super::super::Checker;
use crate::checked::RateLimit;
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec::{self, defaults};

impl Checker<'_> {
    pub(super) fn rate_limit(
        &mut self,
        written: &Option<Written<spec::RateLimit>>,
    ) -> Option<RateLimit> {
        let (limit, place) = given(written)?;
        let mut rate = |written: &Option<Written<u32>>, default: u32| {
            self.within(written, default, defaults::RATES) as u32
        };
        let responses = rate(&limit.responses_per_second, 0);
        let rates = RateLimit {
            responses,
            errors: rate(&limit.errors_per_second, responses),
            nxdomains: rate(&limit.nxdomains_per_second, responses),
            referrals: rate(&limit.referrals_per_second, responses),
            all: rate(&limit.all_per_second, 0),
            slip: self.within(&limit.slip, defaults::SLIP, defaults::SLIPS) as u8,
            ipv4_prefix: self.within(
                &limit.ipv4_prefix,
                defaults::RATE_IPV4_PREFIX,
                defaults::RATE_IPV4_PREFIXES,
            ) as u8,
            ipv6_prefix: self.within(
                &limit.ipv6_prefix,
                defaults::RATE_IPV6_PREFIX,
                defaults::RATE_IPV6_PREFIXES,
            ) as u8,
            exempt: given(&limit.exempt)
                .into_iter()
                .flat_map(|(list, _)| list)
                .filter_map(|network| Some(network.get()?.0))
                .collect(),
            dry_run: given(&limit.dry_run).is_some_and(|(dry, _)| *dry),
        };
        self.limits_something(&rates, place);
        Some(rates)
    }

    fn limits_something(&mut self, rates: &RateLimit, place: Place) {
        let all = [
            rates.responses,
            rates.errors,
            rates.nxdomains,
            rates.referrals,
            rates.all,
        ];
        if all == [0; 5] {
            self.findings
                .warning("empty", place, "this limits nothing: every rate is 0")
                .hint("set responses_per_second (20 suits most), or take `rate_limit` out");
        }
    }
}
