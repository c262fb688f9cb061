//! The woken door.

use crate::Inventory;
use crate::limits::SWEEP;
use crate::state::Change;
use std::sync::Arc;
use store::StoreError;
use world::Stage;

pub(crate) fn start(inventory: &Arc<Inventory>) {
    let inventory = inventory.clone();
    inventory.world.tasks.clone().spawn(Stage::Sources, "inventory: sweep", move |mut stop| async move {
        loop {
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = inventory.world.clock.sleep(SWEEP) => {}
            }
            if let Err(error) = inventory.sweep().await {
                tracing::warn!(%error, "terminated instances could not be swept away; the next round tries again");
            }
        }
    });
}

impl Inventory {
    /// Forgets the terminated instances whose hour is over.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let (settle, now) = (self.settings.settle, self.world.now());
        let over = self.catalog.read(|state| state.instances.values().any(|instance| !instance.visible(settle, now)));
        if !over {
            return Ok(());
        }
        self.catalog
            .change(|state| {
                let over = state.instances.values().filter(|instance| !instance.visible(settle, now));
                let ids = over.map(|instance| instance.id.clone()).collect();
                Ok((vec![Change::Forgotten { ids }], ()))
            })
            .await
    }
}
