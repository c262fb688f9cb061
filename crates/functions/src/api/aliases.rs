//! CreateAlias, UpdateAlias, GetAlias, ListAliases, DeleteAlias.
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html>

use super::{check_revision, find, invalid, page};
use crate::called::{Called, not_found};
use crate::functions::Functions;
use crate::limits;
use crate::state::{Alias, Change, LATEST, State};
use names::{Arn, Home};
use shapes::lambda::{
    AliasConfiguration, AliasRoutingConfiguration, CreateAliasRequest, DeleteAliasRequest, GetAliasRequest,
    ListAliasesRequest, ListAliasesResponse, UpdateAliasRequest, errors,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{ApiError, Call, Nothing};

pub(crate) async fn create_alias(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: CreateAliasRequest,
) -> Result<AliasConfiguration, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    if input.name.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(format!("The alias name {} must not be a number.", input.name)));
    }
    let alias = Alias {
        name: input.name,
        version: input.function_version,
        description: input.description.unwrap_or_default(),
        weights: weights(input.routing_config),
        revision: functions.world.uuid(),
    };
    let home = &functions.home;
    functions
        .catalog
        .change(|state| {
            find(state, home, &name)?;
            if state.alias(&name, &alias.name).is_some() {
                let arn = alias_arn(home, &name, &alias.name);
                return Err(errors::RESOURCE_CONFLICT_EXCEPTION.because(format!("Alias already exists: {arn}")));
            }
            check(state, home, &name, &alias)?;
            let change = Change::PutAlias { function: name.clone(), alias: Box::new(alias.clone()) };
            Ok((vec![change], ()))
        })
        .await?;
    Ok(shown(home, &name, alias))
}

pub(crate) async fn update_alias(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: UpdateAliasRequest,
) -> Result<AliasConfiguration, ApiError> {
    let (home, name) = (&functions.home, Called::whole(&functions.home, &input.function_name)?);
    let revision = functions.world.uuid();
    let alias = functions
        .catalog
        .change(|state| {
            find(state, home, &name)?;
            let mut alias = known(state, home, &name, &input.name)?.clone();
            check_revision(&alias.revision, input.revision_id.as_deref())?;
            alias.version = input.function_version.unwrap_or(alias.version);
            alias.description = input.description.unwrap_or(alias.description);
            alias.weights = input.routing_config.map_or(alias.weights, |config| weights(Some(config)));
            alias.revision = revision;
            check(state, home, &name, &alias)?;
            let change = Change::PutAlias { function: name.clone(), alias: Box::new(alias.clone()) };
            Ok::<_, ApiError>((vec![change], alias))
        })
        .await?;
    // What is provisioned for it moves with it.
    functions.executor().look_at_kept();
    Ok(shown(home, &name, alias))
}

pub(crate) async fn get_alias(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: GetAliasRequest,
) -> Result<AliasConfiguration, ApiError> {
    let (home, name) = (&functions.home, Called::whole(&functions.home, &input.function_name)?);
    let alias = functions.catalog.read(|state| known(state, home, &name, &input.name).cloned())?;
    Ok(shown(home, &name, alias))
}

pub(crate) async fn list_aliases(
    functions: Arc<Functions>,
    call: Arc<Call>,
    input: ListAliasesRequest,
) -> Result<ListAliasesResponse, ApiError> {
    let (home, name) = (&functions.home, Called::whole(&functions.home, &input.function_name)?);
    let (found, next_marker) = functions.catalog.read(|state| {
        find(state, home, &name)?;
        let all = state.family(&name).into_iter().flat_map(|family| family.aliases.values());
        let points = |alias: &&Alias| {
            let to = input.function_version.as_ref();
            to.is_none_or(|version| alias.version == *version || alias.weights.contains_key(version))
        };
        let all = all.filter(points).map(|alias| (alias.name.clone(), alias));
        let (found, next) = page(&call, &name, all, input.marker, input.max_items)?;
        Ok::<_, ApiError>((found.into_iter().cloned().collect::<Vec<_>>(), next))
    })?;
    let aliases = found.into_iter().map(|alias| shown(home, &name, alias)).collect();
    Ok(ListAliasesResponse { next_marker, aliases: Some(aliases) })
}

/// An alias that is not there is gone already.
pub(crate) async fn delete_alias(
    functions: Arc<Functions>,
    _: Arc<Call>,
    input: DeleteAliasRequest,
) -> Result<Nothing, ApiError> {
    let name = Called::whole(&functions.home, &input.function_name)?;
    functions
        .catalog
        .change(|state| {
            find(state, &functions.home, &name)?;
            let there = state.alias(&name, &input.name).is_some();
            let change = Change::DeleteAlias { function: name.clone(), alias: input.name.clone() };
            Ok::<_, ApiError>((there.then_some(change).into_iter().collect(), ()))
        })
        .await?;
    Ok(Nothing {})
}

fn alias_arn(home: &Home, function: &str, alias: &str) -> Arn {
    home.arn("lambda", &format!("function:{function}:{alias}"))
}

fn known<'a>(state: &'a State, home: &Home, function: &str, alias: &str) -> Result<&'a Alias, ApiError> {
    state.alias(function, alias).ok_or_else(|| {
        let arn = alias_arn(home, function, alias);
        errors::RESOURCE_NOT_FOUND_EXCEPTION.because(format!("Cannot find alias arn: {arn}"))
    })
}

fn weights(config: Option<AliasRoutingConfiguration>) -> BTreeMap<String, f64> {
    config.and_then(|config| config.additional_version_weights).unwrap_or_default()
}

fn check(state: &State, home: &Home, name: &str, alias: &Alias) -> Result<(), ApiError> {
    let there = |version: &str| match state.version(name, version) {
        Some(_) => Ok(()),
        None => Err(not_found(&alias_arn(home, name, version))),
    };
    there(&alias.version)?;
    if alias.weights.is_empty() {
        return Ok(());
    }
    if alias.weights.len() > limits::ALIAS_WEIGHTS {
        return Err(invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"));
    }
    for (version, weight) in &alias.weights {
        if version == LATEST || alias.version == LATEST {
            return Err(invalid("$LATEST is not supported for an alias pointing to more than 1 version"));
        }
        if *version == alias.version {
            return Err(invalid(format!(
                "Invalid function version {version}. Function version {version} is already included in routing configuration."
            )));
        }
        if !(0.0..=1.0).contains(weight) {
            return Err(invalid(format!("The weight {weight} of version {version} is not between 0 and 1.")));
        }
        there(version)?;
    }
    Ok(())
}

fn shown(home: &Home, function: &str, alias: Alias) -> AliasConfiguration {
    let routing = AliasRoutingConfiguration { additional_version_weights: Some(alias.weights.clone()) };
    AliasConfiguration {
        alias_arn: Some(alias_arn(home, function, &alias.name).to_string()),
        name: Some(alias.name),
        function_version: Some(alias.version),
        description: Some(alias.description),
        routing_config: (!alias.weights.is_empty()).then_some(routing),
        revision_id: Some(alias.revision),
    }
}
