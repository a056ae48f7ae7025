//! A Service's asynchronous forms: calls and answers as tasks, cancelled ones included.

use std::time::Duration;
use zeroipc::{CallError, Memory, NextError, ReplyError, Service};

/// Two servers as tasks, and many calls at once, more than there are places.
#[tokio::test]
async fn many_calls_in_one_thread() {
    let memory = Memory::anonymous(1 << 16).unwrap();
    let service = Service::<u64, [u64; 2]>::create(&memory, "service", 4).unwrap();
    let serve = || async {
        let (server, mut count) = (service.server(), 0);
        loop {
            match server.next_async().await {
                Ok(request) => {
                    let number = request.get();
                    // Others run while this one has it in hand.
                    tokio::task::yield_now().await;
                    request.reply([number, number * number]).unwrap();
                    count += 1;
                }
                Err(error) => {
                    assert_eq!(error, NextError::Closed);
                    return count;
                }
            }
        }
    };
    let ask = |from: u64| {
        let client = service.client();
        async move {
            for number in from..from + 50 {
                assert_eq!(client.call_async(number).await, Ok([number, number * number]));
            }
        }
    };
    let clients = async {
        tokio::join!(ask(0), ask(1000), ask(2000), ask(3000), ask(4000), ask(5000));
        service.close();
    };
    let (one, two, ()) = tokio::join!(serve(), serve(), clients);
    assert_eq!(one + two, 300);
    assert_eq!(service.in_use(), 0);
}

/// A call whose future is dropped is cancelled, and its place comes back.
#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled() {
    const SOON: Duration = Duration::from_millis(20);
    let memory = Memory::anonymous(1 << 16).unwrap();
    let service = Service::<u64, u64>::create(&memory, "service", 1).unwrap();
    let (client, server) = (service.client(), service.server());
    assert!(tokio::time::timeout(SOON, client.call_async(1)).await.is_err());
    assert_eq!(service.in_use(), 0, "withdrawn");

    let pending = client.request_async(2).await.unwrap();
    let request = server.next_async().await.unwrap();
    assert!(tokio::time::timeout(SOON, pending.get_async()).await.is_err());
    assert_eq!(pending.try_get(), Err(CallError::Pending), "it goes on");
    assert!(tokio::time::timeout(SOON, client.request_async(3)).await.is_err(), "no place");
    drop(pending);
    assert_eq!(request.reply(1), Err(ReplyError::Cancelled));

    // Who waits for a place gets it when another lets go.
    let first = client.request_async(4).await.unwrap();
    let second = async {
        let pending = client.request_async(5).await.unwrap();
        server.next_async().await.unwrap().reply(6).unwrap();
        pending.get_async().await
    };
    let let_go = async {
        tokio::task::yield_now().await;
        drop(first);
    };
    assert_eq!(tokio::join!(second, let_go).0, Ok(6));
    assert_eq!(service.in_use(), 0);
}
