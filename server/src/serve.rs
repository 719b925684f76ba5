//! `quipu serve`: from the flags to a broker that answers, and down again in order.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use quipu_core::config::Durability;
use quipu_core::ids::TopicId;
use quipu_core::storage::FreshIdentity;
use quipu_core::storage::ops::Recovered;
use quipu_core::storage::{Store, StoreOptions};
use quipu_core::time::Timestamp;
use quipu_net::{CannotListen, Limits, ListenerOptions, Node, NodeOptions, Phase};
use rustix::rand::{GetRandomFlags, getrandom};
use tracing::{info, warn};

use crate::banner::Banner;
use crate::cli::ServeArgs;
use crate::descriptors::{self, Descriptors};
use crate::disk::RealDisk;
use crate::home::Home;
use crate::listeners::Endpoint;
use crate::logs;
use crate::plan::{Door, Plan};
use crate::signals::Signals;

/// Runs a broker until it is told to stop, or cannot go on.
pub(crate) fn run(args: &ServeArgs) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            for line in wrong {
                eprintln!("error: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Threads for reads from disk at most, beside the workers. More at once make no disk faster, and each has a stack and may
/// hold a megabyte.
const BLOCKING_THREADS: usize = 16;

fn serve(args: &ServeArgs) -> Result<(), Vec<String>> {
    let one = |why: String| vec![why];
    logs::start(&args.log_level, args.log_format).map_err(one)?;
    let plan = Plan::read(args, std::env::vars_os())?;
    let descriptors = descriptors::claim();
    let held = Home::hold(&plan.data_dir).map_err(one)?;
    let (store, found) = open(&plan, &held, args.rescan, descriptors).map_err(one)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("quipu")
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|e| one(format!("cannot start threads: {e}")))?;
    runtime
        .block_on(async {
            // Taken before the first client can come, so that no signal finds the process without an ear.
            let signals = Signals::listen()?;
            let signals = if args.stop_at_eof { signals.with_input() } else { signals };
            let node = start(&plan, descriptors, store, found).await?;
            live(&plan, &held, node, signals).await
        })
        .map_err(one)
}

/// Opens the log directory and recovers what is in it. Blocking: nothing else runs yet.
fn open(
    plan: &Plan,
    held: &Home,
    rescan: bool,
    descriptors: Descriptors,
) -> Result<(Store<RealDisk>, Recovered), String> {
    let options = StoreOptions {
        synced: plan.config.durability == Durability::Synced,
        max_open_files: descriptors.files,
        rescan,
        ..StoreOptions::default()
    };
    let fresh = FreshIdentity {
        cluster_id: None,
        new_cluster_id: TopicId(entropy()?).to_string(),
        node_id: plan.config.node_id.0,
        directory_id: entropy()?,
    };
    let disk = RealDisk::new(held.path().to_path_buf());
    Store::open(disk, options, &fresh, wall_clock())
        .map_err(|e| format!("cannot use the data directory {}: {e}", held.path().display()))
}

async fn start(
    plan: &Plan,
    descriptors: Descriptors,
    store: Store<RealDisk>,
    found: Recovered,
) -> Result<Node, String> {
    tell_what_was_found(&found);
    let mut limits = Limits::of(&plan.config);
    limits.connections = limits.connections.min(descriptors.connections);
    let listeners = plan.listeners.iter().map(listener).collect::<Result<Vec<_>, String>>()?;
    let peer_listen = plan.peer_listen.as_ref().map(address_of).transpose()?;
    let [a, b, c, d, e, f, g, h, ..] = entropy()?;
    let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let options = NodeOptions { config: plan.config.clone(), seed, listeners, limits, peer_listen };
    Node::start(options, store, found).await.map_err(|e| cannot_start(&e))
}

async fn live(plan: &Plan, held: &Home, node: Node, mut signals: Signals) -> Result<(), String> {
    if let Some(at) = node.peer_addr() {
        let voters: Vec<String> = plan.config.voters.keys().map(ToString::to_string).collect();
        info!(
            "listening to other brokers at {at}; clients are answered once enough of {} are here",
            voters.join(", ")
        );
    }
    let mut is_greeted = false;
    loop {
        tokio::select! {
            biased;
            phase = node.ended() => return Err(ended(phase)),
            phase = node.ready(), if !is_greeted => {
                is_greeted = true;
                if phase == Phase::Ready {
                    greet(plan, held, &node);
                }
            }
            name = signals.next() => {
                info!("{name}: stopping; a second signal ends the process at once");
                return stop(node, signals).await;
            }
        }
    }
}

async fn stop(node: Node, mut signals: Signals) -> Result<(), String> {
    tokio::select! {
        biased;
        phase = node.stop() => match phase {
            Phase::Stopped => {
                info!("stopped; everything is on disk");
                Ok(())
            }
            other => Err(ended(other)),
        },
        name = signals.next() => {
            warn!("{name} again: ending at once; the next start recovers");
            Err("ended before everything was on disk; nothing that was acknowledged is lost".to_string())
        }
    }
}

fn tell_what_was_found(found: &Recovered) {
    info!(logs = found.logs.len(), clean = found.clean, "opened the data directory");
    for log in &found.logs {
        if let Some(damage) = &log.damage {
            warn!("{damage}");
        }
    }
}

fn greet(plan: &Plan, held: &Home, node: &Node) {
    let doors = plan.listeners.iter().zip(node.local_addrs());
    let listeners: Vec<(String, String)> = doors.map(|(door, local)| shown(door, *local)).collect();
    let cluster_id = node.status().cluster_id.expect("a broker that answers clients belongs to a cluster");
    let banner = Banner {
        cluster_id: &cluster_id,
        node_id: plan.config.node_id.0,
        listeners: &listeners,
        peers: node.peer_addr().map(|at| at.to_string()),
        data_dir: held.path(),
        durability: plan.config.durability,
    };
    // Nobody may be reading: that is no reason to stop.
    let _ = io::stdout().write_all(banner.text().as_bytes()).and_then(|()| io::stdout().flush());
}

/// The address listened at and the one told to clients, with the port that the system chose.
fn shown(door: &Door, local: SocketAddr) -> (String, String) {
    let mut advertised = door.advertised.clone();
    if advertised.port == 0 {
        advertised.port = local.port();
    }
    (local.to_string(), advertised.to_string())
}

fn listener(door: &Door) -> Result<ListenerOptions, String> {
    let advertised = Some((door.advertised.host.clone(), door.advertised.port));
    Ok(ListenerOptions { name: door.advertised.name.clone(), bind: address_of(&door.listen)?, advertised })
}

fn address_of(endpoint: &Endpoint) -> Result<SocketAddr, String> {
    let address = endpoint.bind_address();
    let found = address.to_socket_addrs().map(|mut all| all.next());
    match found {
        Ok(Some(bind)) => Ok(bind),
        Ok(None) => Err(format!("cannot listen at {address}: the name has no address")),
        Err(e) => Err(format!("cannot listen at {address}: {e}")),
    }
}

fn cannot_start(e: &io::Error) -> String {
    let Some(at) = e.get_ref().and_then(|inner| inner.downcast_ref::<CannotListen>()) else {
        return format!("cannot start: {e}");
    };
    let address = at.address;
    let (flag, told) = if at.is_for_peers {
        ("--peer-listen", "--voters (or --peer-advertise)")
    } else {
        ("--listen", "--advertise")
    };
    match e.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "another process listens at {address} already; stop it, or choose another port with {flag}"
            )
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "{address} is no address of this machine; choose one with {flag}, and what others are told with {told}"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("this user may not listen at {address}; choose a port above 1023 with {flag}")
        }
        _ => at.to_string(),
    }
}

fn ended(phase: Phase) -> String {
    match phase {
        Phase::Dead => {
            "the data directory cannot be written or trusted any more, as logged above; nothing that was not \
                        acknowledged is promised. Look at the disk, then start again"
                .to_string()
        }
        Phase::Broken => {
            "an internal invariant broke, as logged above; the next start recovers what was acknowledged. \
                          Please report it"
                .to_string()
        }
        other => format!(
            "the broker ended unexpectedly ({other:?}); the next start recovers what was acknowledged"
        ),
    }
}

/// Fresh random bytes of the system.
fn entropy() -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    // Reads of up to 256 bytes are neither cut short nor interrupted.
    let got = getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|e| format!("cannot get random bytes: {e}"))?;
    assert_eq!(got, 16, "the system gives small requests of random bytes whole");
    Ok(bytes)
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
