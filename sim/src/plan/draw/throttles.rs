//! In some plans replicas that catch up are throttled (KIP-73); drawn apart, so that the rest is the same with and without.

use super::pair;
use crate::plan::tide::between;
use crate::plan::{Deeds, ServerPlan, UserPlan};
use crate::rng::Rng;

/// Bytes a second: enough for all to be in sync in time once all is healed.
const RATES: (u64, u64) = (50_000, 500_000);

/// Says which replicas are throttled, and how much brokers send and take.
pub(super) fn draw_throttles(seed: u64, users: &mut [UserPlan], servers: &mut [ServerPlan]) {
    let mut rng = Rng::new(seed ^ 0x7468_726f_7474_6c65);
    if !rng.percent(30) {
        return;
    }
    for side in ["leader", "follower"] {
        if rng.percent(70) {
            let rate = between(&mut rng, RATES.0, RATES.1);
            let name = format!("{side}.replication.throttled.rate");
            servers.iter_mut().for_each(|server| server.configs.push(pair(&name, rate)));
        }
        let name = format!("{side}.replication.throttled.replicas");
        for user in &mut *users {
            let Deeds::Operate(plan) = &mut user.does else { continue };
            for topic in plan.topics.iter_mut() {
                let listed = |rng: &mut Rng| {
                    let (partition, broker) = (rng.below(topic.partitions as u64), rng.below(3) + 1);
                    format!("{partition}:{broker}")
                };
                match rng.below(3) {
                    0 => topic.configs.push(pair(&name, "*")),
                    1 => topic.configs.push(pair(&name, [listed(&mut rng), listed(&mut rng)].join(","))),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn some_plans_have_throttles_and_the_rest_of_them_is_as_it_was() {
    let throttled = |plan: &crate::plan::Plan| {
        plan.servers[0].configs.iter().any(|(name, _)| name.ends_with(".replication.throttled.rate"))
    };
    let plans: Vec<_> = (0..100).map(|seed| crate::plan::Plan::draw_cluster(seed, 3)).collect();
    let with = plans.iter().filter(|plan| throttled(plan)).count();
    assert!((15..45).contains(&with), "{with} of 100");
}
