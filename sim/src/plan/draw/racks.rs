//! In some plans brokers and readers stand in racks, and readers are sent to followers (KIP-392); drawn apart, so that the rest is the
//! same with and without.

use super::pair;
use crate::plan::{Deeds, ServerPlan, UserPlan};
use crate::rng::Rng;

const SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// Says where brokers stand, and readers.
pub(super) fn draw_racks(seed: u64, servers: &mut [ServerPlan], users: &mut [UserPlan]) {
    let mut rng = Rng::new(seed ^ 0x7261_636b_7300);
    if !rng.percent(40) {
        return;
    }
    let racks = 2 + rng.below(servers.len() as u64);
    let draw = |rng: &mut Rng| format!("r{}", rng.below(racks));
    for server in servers {
        server.configs.push(pair("broker.rack", draw(&mut rng)));
        server.configs.push(pair("replica.selector.class", SELECTOR));
    }
    for user in users {
        match &mut user.does {
            Deeds::Read(plan) => plan.rack = draw(&mut rng),
            Deeds::Join(plan) => plan.rack = draw(&mut rng),
            _ => {}
        }
    }
}

#[test]
fn some_plans_have_racks_and_the_rest_of_them_is_as_it_was() {
    let stands =
        |plan: &crate::plan::Plan| plan.servers[0].configs.iter().any(|(name, _)| name == "broker.rack");
    let plans: Vec<_> = (0..50).map(|seed| crate::plan::Plan::draw_cluster(seed, 3)).collect();
    let with = plans.iter().filter(|plan| stands(plan)).count();
    assert!((10..40).contains(&with), "{with} of 50");
}
