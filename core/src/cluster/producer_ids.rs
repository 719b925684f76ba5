//! Producer ids in blocks, each for one broker (Kafka: `ProducerIdControlManager`, `ProducerIdsBlock`).

use crate::cluster::facts::Fact;
use crate::cluster::lifecycle::check_run;
use crate::cluster::topics::Refusal;
use crate::cluster::view::View;
use crate::ids::BrokerId;
use crate::wire::error::ErrorCode;

/// Ids of a block (Kafka: `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const BLOCK: i64 = 1000;

/// Gives a block of ids to this run of a broker, that nobody has had and nobody will have.
pub fn grant(view: &View<'_>, broker: BrokerId, incarnation: u64) -> Result<Fact, Refusal> {
    check_run(view, broker, incarnation)?;
    let first = view.image.next_producer_id();
    let Some(end) = first.checked_add(BLOCK) else {
        return Err((ErrorCode::UNKNOWN_SERVER_ERROR, "All producer ids have been given out.".into()));
    };
    Ok(Fact::ProducerIdsGranted { broker, incarnation, first, end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::image::MetadataImage;
    use crate::config::BrokerConfig;

    #[test]
    fn no_two_blocks_overlap_and_each_is_for_the_run_that_asked() {
        let mut image = MetadataImage::default();
        let config = BrokerConfig::default();
        image.apply(&Fact::BrokerStarted { broker: BrokerId(1), incarnation: 5 });
        image.apply(&Fact::ProducerIdsAllocated { next: 700 });
        let fact = grant(&View { image: &image, config: &config }, BrokerId(1), 5).unwrap();
        let granted = |first| Fact::ProducerIdsGranted {
            broker: BrokerId(1),
            incarnation: 5,
            first,
            end: first + BLOCK,
        };
        assert_eq!(fact, granted(700));
        image.apply(&fact);
        let view = View { image: &image, config: &config };
        assert_eq!(grant(&view, BrokerId(1), 5), Ok(granted(1700)));
        let code = |broker, run| grant(&view, BrokerId(broker), run).unwrap_err().0;
        assert_eq!(
            (code(1, 4), code(2, 5)),
            (ErrorCode::STALE_BROKER_EPOCH, ErrorCode::BROKER_ID_NOT_REGISTERED)
        );
    }
}
